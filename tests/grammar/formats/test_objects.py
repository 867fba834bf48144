"""Calls that are JSON objects are read whatever the order of their keys, and text that is none is refused."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.formats import objects
from paste_proxy.grammar.formats.either import LiteralCalls
from paste_proxy.grammar.formats.objects import ObjectCalls
from tests.grammar.formats.found import CUTS, calls, merged, pieces
from tests.grammar.formats.test_python_literal import VALUES

Make = Callable[[], ObjectCalls | LiteralCalls]
NAMES = ("f", "g")


def literal(names: Sequence[str] = (), *, marked: bool = True) -> LiteralCalls:
    return LiteralCalls(ObjectCalls(names, marked=marked))


def state(reader: ObjectCalls | LiteralCalls) -> tuple[Any, ...]:
    return merged(reader.found), reader.decided, reader.refused, reader.complete, reader.fault


def fed(make: Make, text: str, lengths: Sequence[int] = ()) -> tuple[tuple[Any, ...], int]:
    """What was found, and where it stopped."""
    reader, stopped = make(), 0
    for piece in pieces(text, lengths):
        stop = reader.feed(piece)
        stopped += stop
        if stop < len(piece):
            break
    return state(reader), stopped


@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.dictionaries(st.text(max_size=3), VALUES, max_size=3)), max_size=3
    ),
    st.sampled_from(["name arguments", "arguments name", "id name parameters", "type name arguments x"]),
    st.booleans(),
    st.sampled_from([None, 1]),
    CUTS,
)
def test_calls_are_read(
    expected: list[tuple[str, dict[str, Any]]], order: str, encoded: bool, indent: int | None, cuts: list[int]
) -> None:
    expected = [(name, json.loads(json.dumps(arguments))) for name, arguments in expected]
    written = []
    for name, arguments in expected:
        given_as = json.dumps(arguments) if encoded else arguments
        members = {"name": name, "arguments": given_as, "parameters": given_as, "id": "c1", "type": "function"}
        written.append({key: members.get(key, [1, {"name": 2}]) for key in order.split()})
    text = json.dumps(written, indent=indent)
    for make in (ObjectCalls, literal):
        (found, *_, complete, fault), stopped = fed(make, text + "x", cuts)
        assert (complete, fault, stopped) == (True, "", len(text))
        assert calls(found) == expected
    if len(written) == 1:
        (found, *_), stopped = fed(ObjectCalls, text[1:], cuts)
        assert calls(found) == expected


@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.dictionaries(st.sampled_from("ab"), VALUES)),
        min_size=1,
        max_size=2,
    ),
    CUTS,
)
def test_python_quotes_are_read_where_they_may_stand(expected: list[tuple[str, Any]], cuts: list[int]) -> None:
    text = repr([{"name": name, "arguments": arguments} for name, arguments in expected])
    (found, *_, complete, fault), stopped = fed(literal, text + "x", cuts)
    assert (complete, fault, stopped) == (True, "", len(text))
    assert calls(found) == [(name, json.loads(json.dumps(arguments))) for name, arguments in expected]
    assert fed(ObjectCalls, text, cuts)[0][-1]


def test_a_name_an_argument_and_a_call_are_known_as_they_come() -> None:
    reader = ObjectCalls()
    seen = []
    for piece in ('{"name": "f"', ', "arguments": {"a"', ': "x"}', "}"):
        reader.feed(piece)
        seen.append(merged(reader.found))
        reader.found.clear()
    assert seen == [[("open", "f")], [("text", '{"a"')], [("text", ': "x"}')], [("close", "")]]


def test_arguments_that_come_first_wait_for_the_name() -> None:
    reader = ObjectCalls()
    reader.feed('{"arguments": {"a": 1}, "name": "f')
    assert reader.found == []
    reader.feed('"')
    assert reader.found == [("open", "f"), ("text", '{"a": 1}')]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"name": "f"}', [("open", "f"), ("close", "")]),
        ('{"name": "f", "arguments": null}', [("open", "f"), ("text", "{}"), ("close", "")]),
        ('{"name": "f", "arguments": ""}', [("open", "f"), ("close", "")]),
        ("[ ]", []),
    ],
)
@pytest.mark.parametrize("lengths", [[], [1]])
def test_calls_without_arguments(text: str, found: list[tuple[str, str]], lengths: list[int]) -> None:
    (told, *_, complete, fault), _ = fed(ObjectCalls, text, lengths)
    assert (told, complete, fault) == (found, True, "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("read it", "no JSON object where a call should be"),
        ('{"name": 1', "a name that is no string"),
        ('{"name": ""', "an empty name"),
        ('{"name": "f", "name":1', "a call with two names"),
        ('{"name": "f", "arguments": {}, "parameters":1', "a call with two sets of arguments"),
        ('{"name": "f", "arguments": [', "arguments that are no object"),
        ('{"name": "f", "arguments": {"a": 1,}', "no key where one must be"),
        ('{"name": "f", "arguments": {"a": 1, "a"', "an object with duplicate keys"),
        ('{"name": "f" "arguments"', "no comma and no end behind a value"),
        ('{"name" "f"', "no colon behind a key"),
        ('{"name": "f",}', "no key where one must be"),
        ('{"arguments": {}}', "a call without a name"),
        ('[{"name": "f"} {', "no comma and no end behind a call"),
        ('[{"name": "f"},]', "no JSON object where a call should be"),
        ("[[", "no JSON object where a call should be"),
    ],
)
@pytest.mark.parametrize("lengths", [[], [1], [3, 2]])
def test_what_can_not_be_read(text: str, why: str, lengths: list[int]) -> None:
    whole = fed(ObjectCalls, text)
    assert why in whole[0][-1]
    assert fed(ObjectCalls, text, lengths)[0] == whole[0]


@pytest.mark.parametrize(
    "text",
    [
        '{"path": 1, "name": "f"}',
        '{"name": "h", "arguments": {}}',
        '{"id": 1}',
        "{}",
        "{'name': 'h'}",
        "{'name': f}",
        "{1: 2}",
        "{[",
    ],
)
@pytest.mark.parametrize("lengths", [[], [1]])
def test_what_is_doubtful_and_no_call_is_refused(text: str, lengths: list[int]) -> None:
    (found, decided, refused, complete, fault), _ = fed(
        partial(literal, NAMES, marked=False), text + "x", lengths
    )
    assert (found, decided, refused, complete, fault) == ([], False, True, False, "")


def test_a_known_name_decides_or_arguments_where_no_name_is_known() -> None:
    known = ObjectCalls(NAMES, marked=False)
    known.feed('{"type": "function", "name": "f"')
    assert known.found == [("open", "f")]
    unknown = ObjectCalls(marked=False)
    unknown.feed('{"name": "f", "arguments": ')
    assert not unknown.decided
    unknown.feed("{")
    assert merged(unknown.found) == [("open", "f"), ("text", "{")]


@pytest.mark.parametrize(
    "text",
    [
        '{"x": "12345678", "name": "f", "arguments": {}}',
        '{"12345678": 1, "name": "f", "arguments": {}}',
        '{"arguments": {"a": "12345678"}, "name": "f"}',
        '{"arguments": "{}        ", "name": "f"}',
        '{"name": "12345678f", "arguments": {}}',
        '{"name": "f", "arguments": {}, "x": [12345678]}',
    ],
)
def test_what_is_kept_has_an_end(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    told = set()
    for limit in range(1, len(text)):
        monkeypatch.setattr(objects, "UNTOLD_LIMIT", limit)
        whole = fed(ObjectCalls, text)
        for at in range(1, len(text)):
            assert fed(ObjectCalls, text, [at, len(text)]) == whole
        assert fed(ObjectCalls, text, [1]) == whole
        told.add(whole[0][-1].partition(" than")[0])
    assert told == {"more", ""}


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "f", "arguments": {"a": "12345678"}}',
        '{"name": "f", "arguments": "{\\"a\\": \\"1\\u0032345678\\"}"}',
    ],
)
def test_what_is_told_has_an_end(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    size = len(text) - len('{"name": "f", "arguments": }')
    for limit in range(1, size + 1):
        monkeypatch.setattr(objects, "SIZE_LIMIT", limit)
        whole = fed(ObjectCalls, text)
        assert ("more than" in whole[0][-1]) == (limit < size)
        for at in range(1, len(text)):
            assert fed(ObjectCalls, text, [at, len(text)]) == whole
        assert fed(ObjectCalls, text, [1]) == whole


@given(
    st.lists(
        st.sampled_from([*"{}[],: \"'", '"name"', '"f"', '"h"', '"arguments"', "1", "null", "'name'", "'f'"])
    ).map("".join),
    CUTS,
)
def test_no_text_raises_and_no_cut_matters(text: str, cuts: list[int]) -> None:
    for marked in (True, False):
        for make in (partial(ObjectCalls, NAMES, marked=marked), partial(literal, NAMES, marked=marked)):
            assert fed(make, text, cuts) == fed(make, text)
