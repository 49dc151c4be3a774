"""Hooks: where locks stop being advice. Translation only: what git or an agent's harness says, into what is judged.

`gitcoord hook <harness> <event>` answers all of them: `git` (and the server's `pre-receive`), and the agents'
harnesses, each in its own JSON. The verdict is the one of `gitcoord check`, by `gitcoord.service.guarding`. `run`
decides what an error of gitcoord's own means; `connect` holds the few questions that depend on whether the log is
shared between clones.

A hook runs before every edit and commit, so it loads little: no argument parser, no `subprocess`, and nothing that
writes unless something is written.
"""
