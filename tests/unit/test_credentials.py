"""What looks like a credential is recognised, and the quick look before it lets nothing of that kind through."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import string
import uuid
from typing import Any, cast

import pytest
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.plugins.base import RegexBasedDetector
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitcoord.errors import CredentialFound
from gitcoord.service import credential_kinds, credentials

PATTERNS: list[tuple[str, re.Pattern[str]]] = [
    (kind, re.compile(pattern.pattern, pattern.flags))
    for kind, make in get_mapping_from_secret_type_to_class().items()
    if kind not in credentials.GUESSING and issubclass(make, RegexBasedDetector)
    for pattern in cast("list[re.Pattern[str]]", make().denylist)  # pyright: ignore[reportUnknownMemberType]
] + [(kind, re.compile(pattern, re.ASCII)) for kind, pattern in credential_kinds.NEWER]


def _letters(count: int, of: str = string.ascii_letters + string.digits) -> str:
    """Return letters as a maker of tokens draws them, the same in every run."""
    return "".join(random.Random(count).choices(of, k=count))


NEWER = {
    "Anthropic Key": f"sk-ant-api03-{_letters(93, string.ascii_letters + string.digits + '-_')}AA",
    "OpenAI Token": f"sk-proj-{_letters(156, string.ascii_letters + string.digits + '-_')}",
    "Google API Key": f"AIzaSy{_letters(33)}",
    "GitHub Token": f"github_pat_{_letters(22)}_{_letters(59)}",
    "Hugging Face Token": f"hf_{_letters(34, string.ascii_letters)}",
    "NPM tokens": f"npm_{_letters(36)}",
    "GitLab Token": f"glpat-{_letters(20)}",
    "Slack Token": f"xoxc-{_letters(12, string.digits)}-{_letters(13, string.digits)}-{_letters(64, string.hexdigits)}",
    "Private Key": "-----BEGIN ENCRYPTED PRIVATE KEY-----",
}
OTHERS = {
    "Anthropic Key": f"sk-ant-oat01-{_letters(80)}",
    "OpenAI Token": f"sk-svcacct-{_letters(74)}",
    "GitLab Token": f"glpat-{_letters(70)}.01.{_letters(9, string.ascii_lowercase)}",
    "Slack Token": f"xapp-1-A{_letters(10, string.digits)}-{_letters(13, string.digits)}-{_letters(64, 'abcdef012')}",
    "Private Key": "PuTTY-User-Key-File-3: ssh-ed25519",
}


@pytest.mark.parametrize(("kind", "pattern"), PATTERNS, ids=[f"{k}-{n}" for n, (k, _) in enumerate(PATTERNS)])
def test_the_quick_look_lets_every_text_through_that_a_detector_could_match(
    kind: str, pattern: re.Pattern[str]
) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
    @given(st.from_regex(pattern))
    def law(text: str) -> None:
        assert credentials.may_be_credential(text), (kind, text)

    law()


@pytest.mark.parametrize(
    ("value", "what", "where"),
    [
        ("AKIAIOSFODNN7EXAMPLE", "AWS Access Key", "value"),
        ({"env": ["x", "ghp_1234567890abcdefghijklmnopqrstuvwxAB"]}, "GitHub Token", "value.env[1]"),
        ("one\n-----BEGIN RSA PRIVATE KEY-----\nMII", "Private Key", "value, line 2"),
        ({"url": "https://ada:hunter2@example.invalid/x"}, "Basic Auth Credentials", "value.url"),
        ({"aws_secret_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, "AWS Access Key", "value.aws_secret_key"),
        ({"AKIAIOSFODNN7EXAMPLE": 1}, "AWS Access Key", "a key of value"),
        ("sq0csp-0123456789\\\\abcdefghij\\\\ABCDEFGHIJ\\\\0123456", "Square OAuth Secret", "value"),
    ],
)
def test_a_credential_is_named_with_its_place_and_never_shown(value: Any, what: str, where: str) -> None:
    with pytest.raises(CredentialFound) as refusal:
        credentials.check(value)
    assert {"what": what, "where": where} in refusal.value.facts["recognised"]
    said = refusal.value.message + str(refusal.value.facts)
    assert not any(secret in said for secret in ("AKIAIOSFODNN7EXAMPLE", "ghp_1", "hunter2", "wJalr"))


@pytest.mark.parametrize(("what", "secret"), [*NEWER.items(), *OTHERS.items()])
@pytest.mark.parametrize("around", ["{}", "use {} there", "KEY='{}'", "https://example.invalid/?key={}&x=1"])
def test_newer_kinds_are_recognised_wherever_they_stand(what: str, secret: str, around: str) -> None:
    with pytest.raises(CredentialFound) as refusal:
        credentials.check({"note": around.format(secret)})
    assert what in {found["what"] for found in refusal.value.facts["recognised"]}
    assert secret not in refusal.value.message


@pytest.mark.parametrize(
    ("kind", "fields", "where"),
    [
        ("session.start", {"session": "{}", "agent": "a", "intent": ""}, "session"),
        ("session.renew", {"intent": "with {}", "lease_s": None}, "intent"),
        ("lock.acquire", {"claims": [], "reason": "log in with {}"}, "reason"),
        ("lock.acquire", {"claims": [{"kind": "resource", "path": "{}"}], "reason": ""}, "resource"),
        ("lock.break", {"locks": [], "reason": "{}"}, "reason"),
        ("data.store", {"scope": "issue:{}", "key": "k", "value": 1}, "scope"),
        ("data.store", {"scope": "s", "key": "{}", "value": 1}, "key"),
        ("policy.set", {"policy": {"principals": {"{}": {}}}, "reason": None}, "principal"),
    ],
)
def test_what_goes_along_with_an_operation_is_looked_at_too(kind: str, fields: dict[str, Any], where: str) -> None:
    def with_text(value: Any, text: str) -> Any:
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            return {key.replace("{}", text): with_text(member, text) for key, member in members.items()}
        if isinstance(value, list):
            return [with_text(member, text) for member in cast("list[Any]", value)]
        return value.replace("{}", text) if isinstance(value, str) else value

    credentials.check_words(kind, with_text(fields, "plain-words-of-some-length-here"))
    for what, secret in NEWER.items():
        if " " in secret:
            continue
        with pytest.raises(CredentialFound, match=f"the {where} looks like") as refusal:
            credentials.check_words(kind, with_text(fields, secret))
        assert {"what": what, "where": where} in refusal.value.facts["recognised"]
        assert secret not in refusal.value.message


def test_paths_are_names_and_pass() -> None:
    claims = [{"kind": "file", "path": f"fixtures/{NEWER['GitHub Token']}.txt"}]
    credentials.check_words("lock.acquire", {"claims": claims, "reason": ""})


def test_ordinary_texts_of_every_kind_pass() -> None:
    rng = random.Random(7)
    words = ["sk-learn", "hf_hub_download", "npm_config_registry", "AIza", "github_pat_", "xoxo", "sk-ant-"]
    for _ in range(300):
        blob = rng.randbytes(rng.randrange(1, 120))
        texts = [
            str(uuid.UUID(int=rng.getrandbits(128))),
            *(hashlib.new(name, blob).hexdigest() for name in ("md5", "sha1", "sha256", "sha512")),
            "-".join(rng.choices(words, k=5)),
            " ".join(rng.choices(["the", "token", "of", "test_that_a_long_name_is_fine", "src/a_b/c-d/e.py"], k=9)),
            f"npm_config_{'_'.join(rng.choices(['user', 'agent', 'registry', 'cache'], k=6))}",
            f"sk-proj-{'-'.join(rng.choices(['my', 'own', 'project', 'number', '7'], k=8))}",
            f"ssh-ed25519 {base64.b64encode(blob).decode()}",
        ]
        for text in texts:
            credentials.check(text)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "plain words",
        {"path": "src/a/very/long/path/of/a/file/in/the/project/service/module.py"},
        "01JD8Z5T4V3Q2W1E0R9T8Y7U6I",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        ["https://example.invalid/issues/42", 12345678901234567890],
        {"password_policy": "at least twelve letters"},
    ],
)
def test_what_is_none_passes(value: Any) -> None:
    credentials.check(value)
