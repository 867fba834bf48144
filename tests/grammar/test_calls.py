"""What is told of a call's arguments, whatever the deltas; the dialects' tests hold what begins a call."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar import calls
from paste_proxy.grammar.calls import CallAssembler
from paste_proxy.grammar.events import (
    ArgumentGrown,
    ArgumentSealed,
    ArgumentText,
    CallOpened,
    CallSealed,
    GrammarEvent,
    Malformed,
)


def read(pieces: Sequence[str], **how: Any) -> list[GrammarEvent]:
    assembler = CallAssembler(**how)
    out: list[GrammarEvent] = []
    assembler.delta(0, "a", "look", "", 0, out)
    for piece in pieces:
        assembler.delta(0, "", "", piece, 0, out)
    assembler.end(0, out, finished=True)
    return out


def arguments(events: Sequence[GrammarEvent]) -> str:
    return "".join(one.text for one in events if isinstance(one, ArgumentText))


def test_what_is_told_of_one_call() -> None:
    assert read([' {"b":"x', 'y","a":[1]', "}\n"]) == [
        CallOpened(0, "a", "look"),
        ArgumentText(0, '{"b":"x'),
        ArgumentGrown(0, ("b",), "x"),
        ArgumentText(0, 'y","a":[1]'),
        ArgumentGrown(0, ("b",), "y"),
        ArgumentSealed(0, ("b",), "xy"),
        ArgumentSealed(0, ("a", 0), 1),
        ArgumentSealed(0, ("a",), [1]),
        ArgumentText(0, "}"),
        CallSealed(0, "a", "look", '{"b":"xy","a":[1]}', '{"a":[1],"b":"xy"}'),
    ]


def test_calls_that_the_client_sees_as_text_say_so() -> None:
    opened, _, sealed = read(["{}"], in_text=True)
    assert isinstance(opened, CallOpened)
    assert isinstance(sealed, CallSealed)
    assert opened.in_text
    assert sealed.in_text


@pytest.mark.parametrize("pieces", [['{"a":1:'], ['{"a":1', ":"]])
def test_a_number_is_known_though_what_is_behind_it_is_at_fault(pieces: list[str]) -> None:
    assert ArgumentSealed(0, ("a",), 1) in read(pieces)
    assembler, out = CallAssembler(), list[GrammarEvent]()
    assembler.delta(0, "a", "look", "", 0, out)
    for piece in pieces:
        assembler.read(0, piece, 0, 0, out)
    assert ArgumentSealed(0, ("a",), 1) in out


@pytest.mark.parametrize("cuts", [(), (3,), (9, 10, 11), range(1, 20)])
def test_too_much_is_told_up_to_the_same_character(
    monkeypatch: pytest.MonkeyPatch, cuts: Sequence[int]
) -> None:
    monkeypatch.setattr(calls, "SIZE_LIMIT", 10)
    text = '{"a":"bcdefgh", "b": 1}'
    pieces = [text[start:end] for start, end in itertools.pairwise((0, *cuts, len(text)))]
    told = [CallOpened(0, "a", "look"), Malformed("tool call arguments of more than 10 characters", 0)]
    assert [one for one in read(pieces) if isinstance(one, CallOpened | Malformed)] == told
    assert arguments(read(pieces)) == text[:10]

    assembler, out, read_on = CallAssembler(), list[GrammarEvent](), "open"
    assembler.delta(0, "a", "look", "", 0, out)
    stopped = 0
    for piece in pieces:
        if read_on == "open":
            stop, read_on = assembler.read(0, piece, 0, 0, out)
            stopped += stop
    assert (stopped, read_on) == (10, "broken")
    assert [one for one in out if isinstance(one, CallOpened | Malformed)] == told
    assert arguments(out) == text[:10]
    assert assembler.read(0, "more", 1, 0, out) == (1, "broken")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a":1,"a":1}', "duplicate keys"),
        ("[]", "not a JSON object"),
        ('{"a":1}x', "text after"),
        ('{"a":', "incomplete"),
        ('{"a":01}', "not valid JSON"),
    ],
)
def test_what_is_no_object_is_malformed_once(text: str, why: str) -> None:
    for pieces in ([text], list(text), [text, "more"]):
        faults = [one.why for one in read(pieces) if isinstance(one, Malformed)]
        assert len(faults) == 1
        assert faults[0].startswith("tool call a: ")
        if pieces[-1] != "more":
            assert why in faults[0]


@given(
    st.dictionaries(
        st.text(), st.integers() | st.text() | st.lists(st.floats(allow_nan=False, allow_infinity=False))
    ),
    st.lists(st.integers(0, 200), max_size=6),
    st.booleans(),
)
def test_equal_arguments_have_one_canonical_text(value: dict[str, Any], cuts: list[int], escape: bool) -> None:
    written = json.dumps(dict(reversed(value.items())), ensure_ascii=escape, indent=1)
    places = [0, *sorted(cut % (len(written) + 1) for cut in cuts), len(written)]
    events = read([written[start:end] for start, end in itertools.pairwise(places)])
    (sealed,) = [one for one in events if isinstance(one, CallSealed)]
    assert sealed.arguments == written
    assert sealed.canonical == read([json.dumps(value)])[-1].canonical  # type: ignore[union-attr]
    assert json.loads(sealed.canonical) == value
    assert "".join(one.text for one in events if isinstance(one, ArgumentText)) == written
