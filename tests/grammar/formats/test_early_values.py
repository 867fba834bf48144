"""Values between tags are told with their last character where that is known, not with the tag behind them."""

from collections.abc import Iterator

import pytest

from paste_proxy.grammar.events import ArgumentSealed, CallOpened, CallSealed, GrammarEvent, Malformed
from paste_proxy.grammar.formats import TextReader, find
from paste_proxy.grammar.requests import RequestTool

TOOL = RequestTool(
    "f",
    {
        "type": "object",
        "properties": {
            "flag": {"type": "boolean"},
            "items": {"type": "array"},
            "count": {"type": "integer"},
            "either": {"type": ["string", "array"]},
        },
    },
)


def told(name: str, text: str) -> Iterator[tuple[str, GrammarEvent]]:
    """The text so far, and an event that its last character makes known."""
    reader = TextReader(find(name), None, [TOOL])
    for at, char in enumerate(text):
        out: list[GrammarEvent] = []
        reader.feed(char, at, out)
        yield from ((text[: at + 1], event) for event in out)
    out = []
    reader.end(len(text), out, finished=True)
    yield from ((text, event) for event in out)


def glm(key: str, value: str) -> str:
    return f"<tool_call>f<arg_key>{key}</arg_key><arg_value>{value}</arg_value></tool_call>"


@pytest.mark.parametrize(
    ("key", "value", "known"),
    [
        ("flag", "true", "true"),
        ("flag", "\ntrue\n", "\ntrue"),
        ("items", '["a", [1]] ', '["a", [1]]'),
        ("count", "12", "12</arg_value>"),
        ("count", "12 ", "12 "),
        ("flag", "True", "True</arg_value>"),
        ("either", "[1]", "[1]</arg_value>"),
    ],
)
def test_a_value_is_known_when_nothing_else_can_follow(key: str, value: str, known: str) -> None:
    text = glm(key, value)
    [so_far] = [
        so_far
        for so_far, event in told("glm45", text)
        if isinstance(event, ArgumentSealed) and event.path == (key,)
    ]
    assert so_far == text[: text.index(value)] + known
    assert any(isinstance(event, CallSealed) for _, event in told("glm45", text))


def test_text_behind_a_value_that_was_told_breaks_the_call() -> None:
    events = [event for _, event in told("glm45", glm("items", "[1] and [2]"))]
    assert [type(event) for event in events if isinstance(event, Malformed | CallSealed)] == [Malformed]


def test_blanks_in_a_list_are_kept() -> None:
    [sealed] = [event for _, event in told("glm45", glm("items", "[ ]")) if isinstance(event, CallSealed)]
    assert sealed.arguments == '{"items": [ ]}'


def test_a_name_is_known_with_the_first_character_that_is_none_of_it() -> None:
    [so_far] = [so_far for so_far, event in told("glm47", glm("flag", "true")) if isinstance(event, CallOpened)]
    assert so_far == "<tool_call>f<"


def test_strings_side_by_side_are_none_in_objects() -> None:
    """So that a name is known with its closing quote."""
    text = "<|python_tag|>{'name': 'f', 'parameters': {'flag': True}}"
    known = [so_far for so_far, event in told("llama3", text) if isinstance(event, CallOpened | CallSealed)]
    assert known == ["<|python_tag|>{'name': 'f'", text[:-1]]
