"""Which URLs are one place, and what git's configuration makes of a remote."""

from __future__ import annotations

import pytest

from gitcoord.remote.urls import is_address, local_path, remote_at, remote_of, same_place, without_credentials


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.com/team/app", "https://example.com/team/app.git"),
        ("https://example.com/team/app", "https://Example.COM:443/team/app/"),
        ("https://ada:secret@example.com/team/app.git", "git@example.com:team/app"),
        ("ssh://git@example.com:22/team/app.git", "git@example.com:team/app.git"),
        ("git://example.com/team/app", "http://example.com/team/app"),
        ("/nowhere/team.git", "file:///nowhere/team"),
        ("/nowhere/team/.git", "/nowhere/../nowhere/team"),
        ("ssh://git@[::1]:22/app", "ssh://[::1]/app.git"),
    ],
)
def test_one_place(one: str, other: str) -> None:
    assert same_place(one, other)
    assert same_place(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.com/team/app", "https://example.com/team/App"),
        ("https://example.com/team/app", "https://example.org/team/app"),
        ("https://example.com:8443/team/app", "https://example.com/team/app"),
        ("https://example.com/team/app", "/team/app"),
        ("https://example.com/team/app", "https://example.com/team"),
        ("/nowhere/a", "/nowhere/b"),
    ],
)
def test_two_places(one: str, other: str) -> None:
    assert not same_place(one, other)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ada:secret@example.com/app", "https://example.com/app"),
        ("https://token@example.com/app", "https://example.com/app"),
        ("ssh://git:secret@example.com/app", "ssh://git@example.com/app"),
        ("ssh://git@example.com/app", "ssh://git@example.com/app"),
        ("git@example.com:team/app", "git@example.com:team/app"),
        ("/home/ada@work/app", "/home/ada@work/app"),
        ("fatal: unable to access 'https://a:b@c.d/e/': no", "fatal: unable to access 'https://c.d/e/': no"),
        ("https://a:p@ss@example.com/app", "https://example.com/app"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


def test_paths_and_addresses() -> None:
    assert local_path("/a/b") == "/a/b"
    assert local_path("a/b:c") == "a/b:c"
    assert local_path("file:///a%20b") == "/a b"
    assert local_path("host:a") is None
    assert local_path("https://a/b") is None
    assert local_path("C:/a") == "C:/a"
    assert [is_address(text) for text in ("origin", "team/app", ".", "host:x")] == [False, True, True, True]


def test_a_remote_is_put_together_as_git_does() -> None:
    entries = [
        ("remote.origin.url", "gh:team/app"),
        ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
        ("remote.origin.sub.url", "of another remote, whose name has a dot"),
        ("url.https://github.com/.insteadof", "gh:"),
        ("url.https://short.invalid/.insteadof", "g"),
        ("url.git@github.com:.pushinsteadof", "gh:"),
    ]
    found = remote_of(entries, "origin")
    assert found is not None
    assert found.url == "https://github.com/team/app"
    assert found.push_urls == ("git@github.com:team/app",)
    assert found.settings == (("url", "gh:team/app"), ("fetch", "+refs/heads/*:refs/remotes/origin/*"))
    pushing = remote_of([*entries, ("remote.origin.pushurl", "gh:inbox")], "origin")
    assert pushing is not None
    assert pushing.push_urls == ("https://github.com/inbox",), "pushInsteadOf is for URLs, not for push URLs"
    assert remote_of(entries, "upstream") is None
    assert remote_of([*entries, ("remote.origin.url", "")], "origin") is None
    assert remote_at(entries, "gh:x").url == "https://github.com/x"
