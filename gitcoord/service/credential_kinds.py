"""Kinds of credentials that `detect-secrets` (1.5, its newest) does not know, by what their makers say of them.

Each begins with a mark that its maker put there to be found by. What follows the mark must be as long as theirs is, and
where it may be made of words with hyphens between them it must mix capitals, small letters and digits: ordinary text,
hashes, UUIDs and base64 match none of these.
"""

from __future__ import annotations

_MIXED = r"(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?=[\w-]*\d)"

NEWER = (
    # https://docs.anthropic.com/en/api/admin-api/apikeys/get-api-key (`sk-ant-api03-`, `sk-ant-admin...`)
    ("Anthropic Key", rf"sk-ant-{_MIXED}[\w-]{{24,}}"),
    # https://platform.openai.com/docs/api-reference/project-api-keys (`sk-proj-`, `sk-svcacct-`, `sk-admin-`)
    ("OpenAI Token", rf"sk-(?:proj|svcacct|admin|None)-{_MIXED}[\w-]{{24,}}"),
    # https://cloud.google.com/docs/authentication/api-keys: 39 letters, the first of which are these
    ("Google API Key", r"AIzaSy[\w-]{33}(?![\w-])"),
    # https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
    ("GitHub Token", rf"github_pat_{_MIXED}\w{{36,}}"),
    # https://huggingface.co/docs/hub/security-tokens
    ("Hugging Face Token", r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{34,}"),
    # https://github.blog/changelog/2021-09-23-npm-has-a-new-access-token-format/
    ("NPM tokens", r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9_])"),
    # https://docs.gitlab.com/security/tokens/#token-prefixes; those that say which cell they are of can be 300 long
    ("GitLab Token", r"gl(?:pat|oas|dt|rtr?|cbt|ptt|ft|imt|agent|wt|soat|ffct)-[\w-]{51,}"),
    # https://api.slack.com/authentication/token-types (app-level), https://api.slack.com/authentication/rotation
    ("Slack Token", r"(?:xox[a-z]|xapp)(?:\.xox[a-z])?-(?=[\w-]*[A-Za-z0-9]{10})(?=[\w-]*\d)[\w-]{24,}"),
    # RFC 7468, sections 10 and 11 (keys that are locked too), and OpenPGP's armour, RFC 9580
    ("Private Key", r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
    # https://the.earth.li/~sgtatham/putty/latest/htmldoc/AppendixC.html (version 3 of the format)
    ("Private Key", r"PuTTY-User-Key-File-\d"),
)
"""Each a kind, named as the library names its own, and the pattern of its text."""
