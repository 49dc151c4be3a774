"""What is read and written without the `json` package is what that package reads and writes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitcoord import plainjson

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
FORMS = st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}, {"sort_keys": True}])


def read_by_json(text: str) -> Any:
    def refuse(name: str) -> Any:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


@given(VALUES, FORMS, st.text(" \t\r\n", max_size=3))
def test_every_form_of_a_value_is_read(value: Any, form: dict[str, Any], blank: str) -> None:
    assert plainjson.loads(blank + json.dumps(value, **form) + blank) == value


@given(VALUES)
def test_a_value_is_written_as_the_package_writes_it(value: Any) -> None:
    wanted = json.dumps(value, ensure_ascii=False, sort_keys=True)
    assert plainjson.encode(value) == wanted
    assert plainjson.encode(value, letters=False) == json.dumps(value, sort_keys=True)
    assert plainjson.quoted(wanted) == json.dumps(wanted, ensure_ascii=False)


@given(st.text('[]{}",:0123456789.eE+-truefalsnNaIity \n\\ud8\ufeff', max_size=30))
@example("")
@example("1 2")
@example("NaN")
@example("[-Infinity]")
@example("\ufeff1")
@example('"\n"')
@example('{"a": 1, "a": 2}')
@example('"\\ud800"')
def test_what_is_no_json_is_a_fault_for_both(text: str) -> None:
    try:
        wanted = read_by_json(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            plainjson.loads(text)
    else:
        assert plainjson.loads(text) == wanted


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
def test_what_is_nested_too_deeply_is_a_fault(text: str) -> None:
    with pytest.raises((RecursionError, ValueError)):
        plainjson.loads(text)


def test_what_is_no_json_value_is_not_written() -> None:
    for value in (float("nan"), float("inf"), {"a": b""}, [object()]):
        with pytest.raises((ValueError, TypeError)):
            plainjson.encode(value)


@pytest.mark.parametrize("text", ["{damaged", "[1,", '"half', '{"a" 1}', "[NaN]", '{"a": tru}', "", "\\", "[1 2]"])
def test_a_fault_is_one_where_the_package_was_never_loaded(text: str) -> None:
    script = (
        "import sys\nfrom gitcoord import plainjson\nassert 'json' not in sys.modules\n"
        "try:\n    plainjson.loads(sys.argv[1])\nexcept ValueError:\n    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", script, text], capture_output=True, text=True, check=False)
    assert done.stdout == "refused\n", done.stderr
