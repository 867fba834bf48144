"""Python's calls or JSON objects, and JSON's quotes or Python's: the beginning decides, wherever it is cut."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.formats.either import OPENING_LIMIT, EitherCalls, LiteralCalls
from paste_proxy.grammar.formats.objects import ObjectCalls
from paste_proxy.grammar.formats.pythonic import CallList
from tests.grammar.formats.found import CUTS, calls, merged, pieces

CALLS = st.lists(
    st.tuples(st.sampled_from("fg"), st.dictionaries(st.sampled_from("ab"), st.integers() | st.text())),
    min_size=1,
    max_size=3,
)


def either() -> EitherCalls:
    return EitherCalls(CallList(marked=True), ObjectCalls())


def literal() -> LiteralCalls:
    return LiteralCalls(ObjectCalls())


def fed(reader: EitherCalls | LiteralCalls, text: str, cuts: list[int]) -> tuple[Any, ...]:
    stopped = 0
    for piece in pieces(text, cuts):
        stop = reader.feed(piece)
        stopped += stop
        if stop < len(piece):
            break
    return merged(reader.found), reader.complete, reader.fault, stopped


@given(CALLS, CUTS, st.sampled_from(["", " ", "\n  "]))
def test_both_ways_are_read(expected: list[tuple[str, Any]], cuts: list[int], blank: str) -> None:
    objects = [{"name": name, "arguments": arguments} for name, arguments in expected]
    python = ", ".join(
        f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
        for name, arguments in expected
    )
    for reader, text in (
        (either(), json.dumps(objects)),
        (either(), f"[{python}]"),
        (literal(), json.dumps(objects)),
        (literal(), repr(objects)),
    ):
        text = blank + text[0] + blank + text[1:]
        found, complete, fault, stopped = fed(reader, text + "x", cuts)
        assert (calls(found), complete, fault, stopped) == (expected, True, "", len(text))


@given(
    st.lists(st.sampled_from([*"[]{}('\": f,", '"name"', "'name'", "f(a=1)"]), max_size=10).map("".join), CUTS
)
def test_no_text_raises_and_no_cut_matters(text: str, cuts: list[int]) -> None:
    for make in (either, literal):
        assert fed(make(), text, cuts) == fed(make(), text, [])


@pytest.mark.parametrize("cuts", [[], [1]])
def test_an_endless_beginning_is_a_fault(cuts: list[int]) -> None:
    for make in (either, literal):
        assert fed(make(), "[" * (OPENING_LIMIT + 1), cuts)[2]
