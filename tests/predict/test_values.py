import re
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.values import (
    LONGEST,
    LONGEST_JSON,
    READ,
    SPOKEN,
    Key,
    as_number,
    bucket,
    key_of,
    like,
    mask_of,
    spoken,
    twin,
    value_of,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=5), v, max_size=4),
    max_leaves=10,
)
NAMED_MASKS = re.compile(r"empty|url|path|folder|file|text\d")
ordered = msgspec.json.Encoder(order="deterministic").encode
TOKENS = re.compile(r"(?:[\W_]|(?<![^\W_])(?:a|A|Aa|aA|0|x\d{0,2})(?![^\W_]))*")


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("a", ("str", "a")),
        (1, ("int", 1)),
        (1.0, ("float", 1.0)),
        (True, ("bool", True)),
        (None, ("null", None)),
        ([1, "a"], ("json", '[1,"a"]')),
        ({"b": 1, "a": 2}, ("json", '{"a":2,"b":1}')),
    ],
)
def test_a_key_is_a_kind_and_a_value(value: Any, key: Key) -> None:
    assert key_of(value) == key


def test_numbers_of_different_kinds_differ() -> None:
    assert len({key_of(value) for value in (1, 1.0, True, "1")}) == 4


@pytest.mark.parametrize(
    "value", ["x" * (LONGEST + 1), ["x" * LONGEST_JSON], ["\ud800"], {"a": object()}, object()]
)
def test_content_and_what_is_no_json_has_no_key(value: Any) -> None:
    assert key_of(value) is None


def test_nesting_beyond_use_has_no_key() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert key_of(deep) is None
    for _ in range(100_000 - 1):
        deep = deep[0]  # taken apart step by step: the interpreter frees nested lists recursively


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_a_value_comes_back_from_its_key(value: Any) -> None:
    key = key_of(value)
    if key is not None:
        assert ordered(value_of(key)) == ordered(value)
        assert key_of(value_of(key)) == key


@pytest.mark.parametrize(
    ("key", "number"),
    [
        (("int", -7), -7),
        (("str", "007"), 7),
        (("str", "12345678901"), 12345678901),
        (("str", "123456789012"), None),
        (("str", "٣"), None),
        (("str", "-7"), None),
        (("float", 7.0), None),
        (("bool", True), None),
    ],
)
def test_numbers_are_integers_and_strings_of_digits(key: Key, number: int | None) -> None:
    assert as_number(key) == number


def test_a_twin_is_the_same_number_of_the_other_kind() -> None:
    assert twin(("int", 13)) == ("str", "13")
    assert twin(("str", "13")) == ("int", 13)
    assert twin(("str", "x13")) is None
    assert like(("str", "13"), 14) == ("str", "14")
    assert like(("int", 13), 14) == ("int", 14)


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("#W5918442", "#x8"),
        ("W7", "x2"),
        ("#W 1", "text1"),
        ("omar_davis_3817", "a_a_0"),
        ("Omar", "Aa"),
        ("OMAR-7", "A-0"),
        ("oMar", "aA"),
        ("4421", "0"),
        ("https://a.b/c", "url"),
        ("src/app.py", "path"),
        ("src/app", "folder"),
        ("app.py", "file"),
        ("a b c d e f", "text4"),
        ("deadbeef1234", "x"),
        ("", "empty"),
    ],
)
def test_a_mask_is_a_shape(text: str, mask: str) -> None:
    assert mask_of(("str", text)) == mask


def test_of_other_kinds_the_mask_is_the_kind() -> None:
    assert [mask_of(key) for key in (("int", 4421), ("bool", True), ("json", '["Ann"]'))] == [
        "int",
        "bool",
        "json",
    ]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"[#A-Za-z0-9_./@-]{1,40}", fullmatch=True))
def test_a_mask_holds_no_letter_or_digit_of_the_value(text: str) -> None:
    mask = mask_of(("str", text))
    assert NAMED_MASKS.fullmatch(mask) or TOKENS.fullmatch(mask)
    assert len(mask) <= 24


def test_what_a_text_speaks_of() -> None:
    text = "Order #W5918442 of omar_davis_3817 (omar@example.org), see https://a.b/c?d=1, or src/app.py:12:3."
    assert spoken(text) == [
        "Order",
        "#W5918442",
        "omar_davis_3817",
        "omar@example.org",
        "https://a.b/c?d=1",
        "src/app.py",
        "src/app.py:12:3",
    ]


def test_plain_words_are_no_values() -> None:
    assert spoken("nothing to see here -- or there ... ### ~/") == []


def test_each_value_is_told_once_in_order() -> None:
    assert spoken("B7 A1 B7") == ["B7", "A1"]


@pytest.mark.parametrize(
    "address", ["https://a.b/c?d=1&e=2", "docs://page7?ref=ab-3", "s3://bucket/key=1/x", "git+ssh://h/r?q=%20"]
)
def test_an_address_is_one_word_whatever_its_scheme(address: str) -> None:
    assert spoken(f"I want to see {address} now.") == ["I", address]
    assert spoken(f"({address}).") == [address]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.text("aB1._-/:#@~+ ,", max_size=80))
def test_any_text_is_taken(text: str) -> None:
    found = spoken(text)
    assert len(found) == len(set(found)) <= SPOKEN
    assert all(word and word in text for word in found)


@pytest.mark.parametrize(
    "line", [".", "#", "/-", "~.", "-", ":", "a.", "a:1", "A", "http://", "a", "a ", "plain "]
)
def test_long_rules_and_runs_take_no_time(line: str) -> None:
    """Each character is looked at a few times; one look for each pair of them would take seconds."""
    started = time.process_time()
    for text in (line * READ, "a" + line * READ, line * READ + " b"):
        assert len(spoken(text)) <= 3
    assert time.process_time() - started < 1.0


def test_long_texts_are_read_from_their_start_and_to_a_limit() -> None:
    assert spoken(" " * READ + "A1") == []
    assert spoken(" ".join(f"A{n}" for n in range(SPOKEN + 50))) == [f"A{n}" for n in range(SPOKEN)]
    assert len(spoken(" ".join(f"a{n}.py:{n}" for n in range(SPOKEN)))) == SPOKEN


def test_age_matters_less_and_less() -> None:
    assert [bucket(n) for n in range(19)] == [0, 1, 2, 3, 3, 4, 4, 4, 4, *[5] * 8, 6, 6]
    assert bucket(10**9) == 6
