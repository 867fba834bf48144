"""The content of a reply where a reader of text looks for calls in it."""

import pytest

from paste_proxy.grammar.events import CallOpened, CallSealed, ContentText, GrammarEvent, Malformed, TurnEnded
from paste_proxy.grammar.reply import Reply
from tests.grammar.toy_format import ToyReader

CALL = '<<f{"x": 1}>>'


def reply() -> Reply:
    return Reply(ToyReader())


def kinds(events: list[GrammarEvent]) -> list[str]:
    """Without neighbours of one kind."""
    names = [type(one).__name__ for one in events if not type(one).__name__.startswith("Argument")]
    return [name for at, name in enumerate(names) if at == 0 or name != names[at - 1]]


def text(events: list[GrammarEvent]) -> str:
    return "".join(one.text for one in events if isinstance(one, ContentText))


def test_content_is_told_by_the_reader() -> None:
    one = reply()
    one.content("so " + CALL[:5], 7)
    one.content(CALL[5:], 8)
    one.end("stop", 9, finished=True)
    assert kinds(one.out) == ["ContentText", "CallOpened", "CallSealed", "TurnEnded"]


def test_the_reader_is_told_of_the_end_before_the_turn_ends() -> None:
    for finished in (True, False):
        one = reply()
        one.content("a<", 0)
        one.content("<<f" if finished else "", 0)
        one.end("stop", 3, finished=finished)
        assert isinstance(one.out[-1], TurnEnded)
        assert text(one.out) == ("a<" if not finished else "a")
    cut = reply()
    cut.content("a<", 0)
    cut.cut(3)
    assert text(cut.out) == "a<"
    assert isinstance(cut.out[-1], Malformed)


def test_what_comes_after_the_end_is_content_only() -> None:
    one = reply()
    one.end("stop", 0, finished=True)
    one.content(CALL, 1)
    one.cut(2)
    assert kinds(one.out) == ["TurnEnded", "ContentText"]


def test_after_a_loss_no_call_is_read_from_text() -> None:
    one = reply()
    one.content('<<f{"x": ', 0)
    one.unreadable("lost", 1)
    one.content("1}>> " + CALL, 2)
    one.end("stop", 3, finished=True)
    assert not any(isinstance(event, CallSealed) for event in one.out)
    assert text(one.out) == "1}>> " + CALL


@pytest.mark.parametrize(("before", "unclear"), [("so", 0), (CALL, 1)])
def test_where_calls_come_beside_the_text_there_are_none_in_it(before: str, unclear: int) -> None:
    one = reply()
    one.content(before, 0)
    one.call(0, "c1", "g", "{}", 1)
    one.content(CALL, 2)
    one.end("tool_calls", 3, finished=True)
    assert [event.name for event in one.out if isinstance(event, CallOpened)] == ["f"] * unclear + ["g"]
    assert text(one.out).endswith(CALL)
    assert sum(isinstance(event, Malformed) for event in one.out) == unclear
