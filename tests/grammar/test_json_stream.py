import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.json_stream import DEPTH_LIMIT, ObjectScanner, check_object

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=4)
JSONISH = st.text(alphabet='{}[]",:\\ ua1\n', max_size=30)


def scan(pieces: list[str]) -> ObjectScanner:
    scanner = ObjectScanner()
    for piece in pieces:
        scanner.feed(piece)
    return scanner


@given(OBJECTS, st.booleans(), st.data())
def test_the_end_is_seen_with_the_last_brace(value: dict[str, Any], escape: bool, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=escape)
    place = data.draw(st.integers(0, len(text) - 1))
    scanner = scan([text[:place], text[place:-1]])
    assert not scanner.complete
    assert scanner.feed(text[-1] + " \n") == text[-1]
    assert (scanner.complete, scanner.fault, scanner.text) == (True, "", text)


@given(JSONISH, st.integers(0, 30))
def test_agrees_with_a_whole_parser(text: str, place: int) -> None:
    scanner = scan([text[:place], text[place:]])
    one_by_one = scan(list(text))
    assert (scanner.complete, bool(scanner.fault)) == (one_by_one.complete, bool(one_by_one.fault))
    try:
        value = json.loads(text, strict=True)
    except ValueError:
        value = None
    if isinstance(value, dict):
        assert scanner.complete
        assert not scanner.fault
    if scanner.complete and not scanner.fault and not check_object(scanner.text):
        assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize("text", ["null", "[1]", '"a"', "x", "}"])
def test_other_than_an_object_is_a_fault_at_once(text: str) -> None:
    assert "not a JSON object" in scan([" ", text]).fault


def test_text_after_the_object_is_a_fault_and_white_space_is_not() -> None:
    assert not scan(['{"a":1}', " \r\n\t"]).fault
    assert "after" in scan(['{"a":1}', " ", "{"]).fault
    assert "after" in scan(['{"a":1}{']).fault


def test_nesting_is_bounded() -> None:
    assert not scan(["{" + '"a":{' * (DEPTH_LIMIT - 1)]).fault
    assert "nested" in scan(["{" + '"a":{' * DEPTH_LIMIT]).fault


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"b":{"a":1,"a":1}}',
        "{]",
        '{"a":NaN}',
        '{"a":01}',
        '{"a":"\n"}',
        '{"a":"\\ud800"}',
        "{'a':1}",
        '{"a":1,}',
        '{"\ud800":1}',
        '{"a":Infinity}',
        "[]",
        "1",
    ],
)
def test_invalid_objects_are_refused(text: str) -> None:
    assert check_object(text)


@pytest.mark.parametrize(
    "text", ["{}", '{"a":[{"a":1},{"a":1}]}', '{"a":12345678901234567890123}', '{"a":"\\u00e9"}']
)
def test_valid_objects_pass(text: str) -> None:
    assert check_object(text) == ""


def test_a_long_argument_in_small_pieces_takes_linear_time() -> None:
    scanner = ObjectScanner()
    scanner.feed('{"a":"')
    for _ in range(20_000):
        scanner.feed('\\"x')
    scanner.feed('"}')
    assert scanner.complete
    assert len(scanner.text) == 60_008
