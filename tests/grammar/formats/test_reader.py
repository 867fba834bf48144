"""One reply from its raw text, for clients that get calls apart, and for those that get all of it as text."""

import pytest

from paste_proxy.grammar.events import (
    CallOpened,
    CallSealed,
    ContentText,
    GrammarEvent,
    Malformed,
    ReasoningText,
)
from paste_proxy.grammar.formats import (
    TextReader,
    UnknownFormatError,
    find,
    find_reasoning,
    names,
    reasoning_names,
)
from tests.grammar.formats.fixture import TOOLS

CALL = '<tool_call>{"name": "now", "arguments": {}}</tool_call>'
THOUGHT = f"<think>I need it.</think>\nSo:\n{CALL}"


def run(reader: TextReader, text: str, *, finished: bool = True) -> list[GrammarEvent]:
    out: list[GrammarEvent] = []
    reader.feed(text, 3, out)
    reader.end(9, out, finished=finished)
    return out


def kinds(events: list[GrammarEvent]) -> list[object]:
    """Texts and the names of calls."""
    told: list[object] = []
    for event in events:
        match event:
            case ContentText(text):
                told.append(text)
            case ReasoningText(text):
                told.append(("reasoning", text))
            case CallSealed():
                told.append(("call", event.name, event.in_text))
            case Malformed():
                told.append(event)
    return told


def test_a_reply_that_the_client_gets_apart() -> None:
    reader = TextReader(find("hermes"), find_reasoning("think"), TOOLS)
    assert kinds(run(reader, THOUGHT)) == [("reasoning", "I need it."), "\nSo:\n", ("call", "now", False)]


def test_a_reply_that_the_client_gets_as_text() -> None:
    reader = TextReader(find("hermes"), find_reasoning("think"), TOOLS, in_text=True)
    events = run(reader, THOUGHT)
    assert kinds(events) == [THOUGHT, ("call", "now", True)]
    assert all(event.in_text for event in events if isinstance(event, CallOpened))


def test_without_a_format_of_calls_the_text_is_content() -> None:
    assert kinds(run(TextReader(None), THOUGHT)) == [THOUGHT]
    assert kinds(run(TextReader(None, find_reasoning("think")), "<think>a</think>b")) == [
        ("reasoning", "a"),
        "b",
    ]


def test_calls_in_reasoning_are_none() -> None:
    text = f"<think>Such as {CALL}</think>{CALL}"
    reader = TextReader(find("hermes"), find_reasoning("deepseek-v3"), TOOLS)
    assert kinds(run(reader, text)) == [("reasoning", f"Such as {CALL}"), ("call", "now", False)]


def test_a_format_that_marks_reasoning_too_is_read_in_place_of_any_other() -> None:
    text = "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b"
    for calls in (find("gpt-oss"), find("hermes"), None):
        assert kinds(run(TextReader(calls, find_reasoning("gpt-oss")), text)) == [("reasoning", "a"), "b"]


def test_what_agents_read_in_the_content_is_told_beside_it() -> None:
    text = "```bash\nls\n```"
    for in_text in (False, True):
        assert kinds(run(TextReader(find("shell"), in_text=in_text), text)) == [text, ("call", "bash", True)]


def test_what_was_held_is_told_at_the_end() -> None:
    assert kinds(run(TextReader(find("hermes"), find_reasoning("think")), "<thi")) == ["<thi"]
    assert kinds(run(TextReader(find("hermes"), find_reasoning("think"), in_text=True), "<thi")) == ["<thi"]
    assert run(TextReader(find("hermes")), "") == []


def test_where_malformed_stands() -> None:
    assert kinds(run(TextReader(find("hermes")), "<tool_call>{,")) == [
        Malformed("no key where one must be", 3),
    ]
    assert kinds(run(TextReader(find("hermes")), '<tool_call>{"name": "f"')) == [
        Malformed("tool call 0: arguments are incomplete", 9)
    ]


@pytest.mark.parametrize(("look", "known"), [(find, names()), (find_reasoning, reasoning_names())])
def test_unknown_names_say_which_are_known(look: object, known: list[str]) -> None:
    assert callable(look)
    for name in known:
        assert look(name).name == name
    with pytest.raises(UnknownFormatError, match="'no_such' is no format") as raised:
        look("no_such")
    assert all(name in str(raised.value) for name in known)
