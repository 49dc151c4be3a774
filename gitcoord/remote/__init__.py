"""Remotes, reached through the user's own git. Knows refs and commits' names, and nothing of what a log means."""

from gitcoord.remote.answers import Push
from gitcoord.remote.transport import Transport
from gitcoord.remote.urls import local_clone, same_place

__all__ = ["Push", "Transport", "local_clone", "same_place"]
