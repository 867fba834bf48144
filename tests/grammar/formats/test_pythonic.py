"""Lists of calls are read as Python reads them, and text that only begins like one stays text."""

import json
import re
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.formats.pythonic import NAME_LIMIT, NO_LIST, CallList, Found
from tests.grammar.formats.found import CUTS, calls, merged, pieces, read
from tests.grammar.formats.test_python_literal import VALUES

NAMES = st.sampled_from(["f", "get_weather", "mod.sub.f", "größe", "_x1"])
KEYS = st.sampled_from(["a", "b", "from", "_c", "d9", "ñ"])
CALLS = st.lists(st.tuples(NAMES, st.dictionaries(KEYS, VALUES, max_size=3)), min_size=1, max_size=3)


@given(CALLS, CUTS, st.sampled_from(["", " ", "\n"]), st.booleans())
def test_calls_are_read(
    expected: list[tuple[str, dict[str, Any]]], lengths: list[int], blank: str, comma: bool
) -> None:
    written = []
    for name, arguments in expected:
        given_as = (f"{key}{blank}={blank}{value!r}" for key, value in arguments.items())
        last = "," if comma and arguments else ""
        written.append(f"{name}({blank}{(',' + blank).join(given_as)}{last}{blank})")
    text = f"{blank}[{blank}{(blank + ',' + blank).join(written)}{',' if comma else ''}{blank}]"
    reader = CallList()
    for piece in pieces(text, lengths):
        reader.feed(piece)
    assert reader.complete
    assert calls(reader.found) == [(name, json.loads(json.dumps(given))) for name, given in expected]


@pytest.mark.parametrize(
    "text",
    [
        "[1] as said",
        "[link](url)",
        "[a, b]",
        "[]",
        "text",
        "[f(x)]",
        "[f (a=1)]",
        "[f(1, a=2)]",
        "[f(**d)]",
        "[.f(a=1)]",
    ],
)
@pytest.mark.parametrize("lengths", [[], [1]])
def test_other_text_is_refused(text: str, lengths: list[int]) -> None:
    reader = CallList()
    for piece in pieces(text, lengths):
        reader.feed(piece)
    assert reader.refused
    assert not reader.found


def test_the_names_of_tools_decide_where_they_are_known() -> None:
    assert read(lambda: CallList({"f"}), "[f(") == [("open", "f")]
    unknown = CallList({"f"})
    assert unknown.feed("[g(a=1)]") == 2
    assert unknown.refused


def test_a_call_is_decided_by_its_first_argument_where_no_names_are_known() -> None:
    assert read(CallList, "[f(a") == []
    assert read(CallList, "[f(a=") == [("open", "f"), ("text", '{"a": ')]
    assert read(CallList, "[f()") == [("open", "f"), ("text", "{}"), ("close", "")]


def test_arguments_come_as_they_arrive_and_a_call_ends_at_its_bracket() -> None:
    reader = CallList()
    seen: list[list[Found]] = []
    for piece in ("[f(a='x", "y', ", "b=1", ")", ", g(", ")]"):
        reader.feed(piece)
        seen.append(merged(reader.found))
        reader.found.clear()
    assert seen == [
        [("open", "f"), ("text", '{"a": "x')],
        [("text", 'y"')],
        [("text", ', "b": ')],
        [("text", "1}"), ("close", "")],
        [("open", "g")],
        [("text", "{}"), ("close", "")],
    ]


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("f(x=y, z=')')", "the name 'y'"),
        ("f(x=[y, (1, ')')])", "the name 'y'"),
        ("f(x='\\xz)', y=1)", "cut short"),
        ("f(1)", "an argument without a name"),
        ("f(x=1, 'a')", "an argument without a name"),
        ("f(*a)", "an argument without a name"),
        ("f(a b=1)", "an argument without a name"),
        ("f(a=1 + g(2))", "an expression as an argument"),
        ("f(a==1)", "'=' where a value should begin"),
    ],
)
@pytest.mark.parametrize("lengths", [[], [1]])
def test_a_broken_call_leaves_the_next_one_whole(call: str, why: str, lengths: list[int]) -> None:
    found = read(lambda: CallList({"f"}), f"[{call}, g(x=2)]", lengths)
    assert [kind for kind, text in found if kind == "broken" and why in text] == ["broken"]
    assert calls(found) == [("g", {"x": 2})]


def test_what_is_no_list_any_more_is_a_fault_and_the_calls_before_stay() -> None:
    reader = CallList()
    text = "[f(a=1) + 2]"
    assert reader.feed(text) == text.index("+")
    assert reader.fault == "'+' behind a call"
    assert calls(reader.found) == [("f", {"a": 1})]


def test_behind_a_token_there_is_no_doubt() -> None:
    for text in ("f(1)", "[f(1)]"):
        assert read(partial(CallList, {"g"}, marked=True), text)[:1] == [("open", "f")]
    one = CallList(marked=True)
    assert one.feed("\nf(a=1) ,") == 7
    assert one.complete
    assert calls(one.found) == [("f", {"a": 1})]
    prose = CallList(marked=True)
    prose.feed("f is")
    assert prose.fault == "'f ' where a call should begin"


def test_names_have_an_end() -> None:
    reader = CallList()
    reader.feed("[" + "a" * 10 * NAME_LIMIT)
    assert reader.refused


def test_reading_stops_behind_the_list() -> None:
    assert CallList().feed("[f(a=1)] tail") == 8


@given(st.text(st.sampled_from("[]()fg.,=a1'\"\\ \n*{}:"), max_size=30), CUTS)
def test_no_text_raises_and_no_cut_matters(text: str, lengths: list[int]) -> None:
    cut, one = CallList({"f"}), CallList({"f"})
    for piece in pieces("[f(a=" + text, lengths):
        cut.feed(piece)
    one.feed("[f(a=" + text)
    assert (merged(cut.found), cut.complete, cut.fault) == (merged(one.found), one.complete, one.fault)


@given(st.text(st.sampled_from("[]f(.a=1)\n \f\v,\u00a0'"), max_size=8), CUTS)
def test_what_is_no_list_by_its_beginning_is_refused(text: str, lengths: list[int]) -> None:
    reader = CallList({"f"})
    for piece in pieces(f"[{text}", lengths):
        reader.feed(piece)
    if re.match(NO_LIST, text):
        assert reader.refused
    elif re.match(r"\s*[\w.]*[^\w.\s]", text):
        assert re.match(r"[ \n\f]*[\w.]+\(", text)
