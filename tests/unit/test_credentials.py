"""What looks like a credential is recognised, and the quick look before it lets nothing of that kind through."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.plugins.base import RegexBasedDetector
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitcoord.errors import CredentialFound
from gitcoord.service import credentials

PATTERNS: list[tuple[str, re.Pattern[str]]] = [
    (kind, re.compile(pattern.pattern, pattern.flags))
    for kind, make in get_mapping_from_secret_type_to_class().items()
    if kind not in credentials.GUESSING and issubclass(make, RegexBasedDetector)
    for pattern in cast("list[re.Pattern[str]]", make().denylist)  # pyright: ignore[reportUnknownMemberType]
]


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
