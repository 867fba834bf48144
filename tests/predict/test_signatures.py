import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.signatures import (
    JSON_LIMIT,
    TEXT_LIMIT,
    finished_call,
    outcome_of,
)


@pytest.mark.parametrize(
    "text",
    [
        "Error: user not found",
        "  ValueError: no such thing",
        "json.decoder.JSONDecodeError: Expecting value",
        "Error executing tool open: timed out",
        "Traceback (most recent call last):\n  File ...",
        "<error>no</error>",
        "<tool_use_error>File does not exist.</tool_use_error>",
        "error: pathspec 'x' did not match",
        '{"error": "not found"}',
        '{"error": {"code": 404}}',
        '{"isError": true, "content": []}',
    ],
)
def test_an_error_says_so_at_its_beginning(text: str) -> None:
    assert finished_call("t", {}, text).outcome == "error"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Errors are values, says the guide: an introduction",
        "The build log ends with\nError: 1",
        "Exceptional results",
        '{"error": null, "data": 1}',
        '{"error": false}',
        '{"errors": []}',
        '{"isError": "true"}',
        '[{"error": "of one item"}]',
    ],
)
def test_a_text_that_speaks_of_errors_is_none(text: str) -> None:
    assert finished_call("t", {}, text).outcome == "ok"


def test_json_objects_and_lists_are_decoded_once_and_exactly() -> None:
    assert finished_call("t", {}, ' {"id": 12345678901234567890123}').value == {"id": 12345678901234567890123}
    assert finished_call("t", {}, "[1, 1.0]").value == [1, 1.0]
    assert finished_call("t", {}, '"text"').value is None
    assert finished_call("t", {}, "12").value is None
    assert finished_call("t", {}, "[not json").value is None


def test_text_is_cut_and_long_json_not_decoded() -> None:
    call = finished_call("t", {}, json.dumps(["x" * JSON_LIMIT]))
    assert call.value is None
    assert len(call.text) == TEXT_LIMIT


def test_addresses_and_paths_are_found_in_the_kept_text() -> None:
    call = finished_call(
        "t", {}, "see https://a.b/c?d=1, then src/main.py:12 and README.md." + " " * TEXT_LIMIT + "x/y"
    )
    assert call.addresses == ("https://a.b/c?d=1",)
    assert call.paths == ("src/main.py", "README.md")


def test_nesting_beyond_use_is_text() -> None:
    assert finished_call("t", {}, "[" * 30_000 + "]" * 30_000).value is None


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    assert finished_call("t", {}, text).outcome == outcome_of(text, finished_call("t", {}, text).value)


def test_lone_surrogates_are_taken() -> None:
    assert finished_call("t", {}, '["\ud800"]').value is None
