"""ReAct turns are read as the agents' parsers read them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.formats.protocols_react import HEAD_LIMIT, NAME_LIMIT, ReactReader
from paste_proxy.grammar.formats.pythonic import Found
from tests.grammar.formats.found import CUTS, calls, merged, pieces

TOOLS = {"Google Search": ("q", "n"), "search": ("query",), "now": ()}


def run(
    text: str,
    lengths: list[int] | None = None,
    *,
    finished: bool = True,
    bracketed: bool = False,
    argument: str = "input",
) -> list[Found]:
    reader = ReactReader(TOOLS, argument=argument, bracketed=bracketed)
    for piece in pieces(text, lengths or []):
        reader.feed(piece)
    reader.end(finished=finished)
    return merged(reader.found)


PARTS = ("\nObservation", "\nObs", "\n", " ", '"', "x y", "Thought: z", "{", "Action:", "Final Answer: 7")


@given(
    st.sampled_from(["", "Thought: I see.\n", "Thought: ```a``` is\n"]),
    st.sampled_from(["Action:", "Action: ", " Action 1: ", "Action:\n"]),
    st.sampled_from(["\nAction Input:", "\n\n Action Input 1: ", " \nAction Input:\n"]),
    st.lists(st.sampled_from(PARTS), max_size=8).map("".join),
    CUTS,
)
def test_text_input_is_what_langchain_makes_of_it(
    thought: str, action: str, action_input: str, given_as: str, lengths: list[int]
) -> None:
    text = f"{thought}{action}lookup{action_input}{given_as}"
    found = run(text, lengths)
    assert found == run(text)
    if not given_as.lstrip().startswith("{"):
        # LangChain stops the model at a line that begins with `Observation`, and reads what came before.
        before = text.partition("\nObservation")[0]
        match = re.search(r"Action Input[ 1]*:\s*(.*)", before, re.DOTALL)
        assert match is not None
        assert calls(found) == [("lookup", {"input": match[1].strip(" ").strip('"')})]


@pytest.mark.parametrize("lengths", [[], [1], [3]])
def test_an_object_is_the_arguments_and_ends_the_action(lengths: list[int]) -> None:
    text = 'Action: f\nAction Input: {"a": "}\\"{", "b": [{}]}\nAction: g\nAction Input: h'
    assert calls(run(text, lengths)) == [("f", {"a": '}"{', "b": [{}]})]


def test_the_input_comes_as_it_arrives() -> None:
    reader = ReactReader({})
    seen: list[list[Found]] = []
    for piece in (
        "Thought: so\nAct",
        "ion: look\n",
        "Action Input: ",
        "a",
        " b\nOb",
        "servation: c\nAction: x",
    ):
        reader.feed(piece)
        seen.append(merged(reader.found))
        reader.found.clear()
    assert seen == [
        [],
        [("open", "look")],
        [],
        [("text", '{"input": "a')],
        [("text", " b")],
        [("text", '"}'), ("close", "")],
    ]


def test_text_is_the_first_parameter_of_a_known_tool() -> None:
    text = "Action: Google Search\nAction Input: x"
    assert calls(run(text)) == [("Google Search", {"q": "x"})]
    assert calls(run("Action: now\nAction Input: x", argument="text")) == [("now", {"text": "x"})]


@pytest.mark.parametrize(
    "text",
    [
        "Action: I should look it up\nAction Inputs: x",
        "Action: I should look it up.\nActionable Input: x",
        "Action Input: x\nAction: I should",
        "Action Input: x",
        "Action:",
    ],
)
@pytest.mark.parametrize("lengths", [[], [1]])
def test_prose_is_no_action(text: str, lengths: list[int]) -> None:
    assert run(text, lengths) == []


@pytest.mark.parametrize(
    "text",
    [
        "Action: I should look it up\nAction Input: x",
        "The Action: search\nAction Input: x",
        "```\nAction: search\nAction Input: x\n```",
        "Final Answer: 7\nAction: search\nAction Input: x",
        "Observation: 7\nAction: search\nAction Input: x",
        "Action: " + "a" * 500 + "\nAction Input: x",
        "Thought: I will. Action: edit\nAction Input: x",
        "Action: edit Action Input: x",
        "- Action: edit\nAction Input: x",
        "AAction 1\n:ActionAction edit Action Action 2 \n Input 1:",
    ],
)
@pytest.mark.parametrize("lengths", [[], [1], [2, 3]])
def test_an_action_that_only_others_find_is_broken(text: str, lengths: list[int]) -> None:
    assert [kind for kind, _ in run(text, lengths)] == ["broken"]


def test_an_action_that_others_find_before_ours_is_broken() -> None:
    found = run("- Action: edit\nAction Input: x\nAction: search\nAction Input: y\nObservation")
    assert [kind for kind, _ in found] == ["broken", "open", "text", "close"]
    found = run("My next Action: to search.\nAction: search\nAction Input: y\nObservation")
    assert [kind for kind, _ in found] == ["broken", "open", "text", "close"]


WORDS = (
    "Action",
    "Input",
    ":",
    " ",
    "1",
    "\n",
    "f",
    "- ",
    "```\n",
    "\nAction: f",
    "\nAction Input: x",
    "Final Answer",
)


@given(st.lists(st.sampled_from(WORDS), max_size=12).map("".join), CUTS)
def test_no_action_that_langchain_finds_goes_unsaid(text: str, lengths: list[int]) -> None:
    found = run(text, lengths)
    assert found == run(text)
    asked = re.search(
        r"Action\s*\d*\s*:[\s]*(.*?)[\s]*Action\s*\d*\s*Input\s*\d*\s*:[\s]*(.*)", text, re.DOTALL
    )
    if asked is not None and "broken" not in [kind for kind, _ in found]:
        assert [name for name, _ in calls(found)] == [asked[1]]


def test_markers_behind_a_code_block_count() -> None:
    assert calls(run("```py\nx\n```\nAction: search\nAction Input: y")) == [("search", {"query": "y"})]


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        ("Action: search\nThought: or not", True),
        ("Action: search\n" + "x" * 100, True),
        ("Action: search\n", True),
        ("Action: search\nAction Input: x", False),
        ("Action: search\nAction Input:", False),
        ('Action: search\nAction Input: {"a": 1', True),
    ],
)
@pytest.mark.parametrize("lengths", [[], [1]])
def test_an_action_without_its_input_is_broken(text: str, finished: bool, lengths: list[int]) -> None:
    found = run(text, lengths, finished=finished)
    assert [kind for kind, _ in found if kind != "text"] == ["open", "broken"]


def test_an_action_without_input_does_not_hide_the_next() -> None:
    assert calls(run("Action: now\nAction: search\nAction Input: x")) == [("search", {"query": "x"})]


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("Thought: hm\nAction: search[a b]\nObservation: c", "search", {"query": "a b"}),
        ("Action 2: Lookup[High [US]] ", "Lookup", {"input": "High [US]"}),
        ("Action: Finish[]", "Finish", {"input": ""}),
        ('Action: f["a" ]b]', "f", {"input": '"a" ]b'}),
    ],
)
@pytest.mark.parametrize("lengths", [[], [1], [2, 5]])
def test_actions_with_brackets(text: str, name: str, value: dict[str, str], lengths: list[int]) -> None:
    assert calls(run(text, lengths, bracketed=True)) == [(name, value)]


@pytest.mark.parametrize("text", ["Action: search[a", "Action: search[a] or so\n", "Action: search[a\n]"])
def test_brackets_that_do_not_end_the_line_are_broken(text: str) -> None:
    found = run(text, bracketed=True)
    assert found[0] == ("open", "search")
    assert found[-1][0] == "broken"


@pytest.mark.parametrize("text", ["Action: search", "See the list [1]", "[1] Action: \n"])
def test_prose_with_brackets_is_no_action(text: str) -> None:
    assert run(text, bracketed=True) == []


@pytest.mark.parametrize("text", ["Action: see the list [1]", "Action: \n[1]", "- Action: search[1]"])
@pytest.mark.parametrize("lengths", [[], [1]])
def test_an_action_with_brackets_that_only_others_find_is_broken(text: str, lengths: list[int]) -> None:
    assert [kind for kind, _ in run(text, lengths, bracketed=True)] == ["broken"]


@pytest.mark.parametrize("size", [-1, 0, 1])
@pytest.mark.parametrize(
    ("text", "limit", "bracketed"),
    [
        ("Action{}: f\nAction Input: x", HEAD_LIMIT - len("Action"), False),
        ("Action: f\nAction Input{}: x", HEAD_LIMIT - len("Action Input"), False),
        ("Action: n{}\nAction Input: x", NAME_LIMIT - len(" n"), False),
        ("Action: n{}[x]\n", NAME_LIMIT - len(" n"), True),
    ],
)
def test_limits_are_the_same_for_every_cut(text: str, limit: int, size: int, bracketed: bool) -> None:
    text = text.format(" " * (limit + size))
    whole = run(text, bracketed=bracketed)
    assert bool(calls(whole)) == (size < 0)
    for at in range(1, len(text)):
        assert run(text, [at, len(text)], bracketed=bracketed) == whole
