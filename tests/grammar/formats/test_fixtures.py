"""What every format's fixture says: the calls in its texts, how early they are known, and what is no call."""

import html
import json

import pytest

from paste_proxy.grammar.events import (
    CallOpened,
    CallSealed,
    ContentText,
    GrammarEvent,
    Malformed,
    ReasoningText,
)
from paste_proxy.grammar.formats import find, names
from paste_proxy.grammar.formats.model import Marks
from tests.grammar.formats.fixture import FIXTURES, Text, became_known, fixture, read

MARKED = [name for name in names() if not find(name).in_text]


def content(events: list[GrammarEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ContentText))


def check(name: str, text: Text) -> None:
    for pieces in ([text.plain], list(text.plain)):
        events = read(name, pieces)
        assert [event for event in events if isinstance(event, Malformed)] == []
        sealed = [event for event in events if isinstance(event, CallSealed)]
        assert [(one.name, json.loads(one.arguments)) for one in sealed] == text.calls
        assert len([event for event in events if isinstance(event, CallOpened)]) == len(text.calls)
        # What agents read in the content stays there.
        assert content(events) == (text.plain if find(name).in_text else text.content)
        reasoning = [event.text for event in events if isinstance(event, ReasoningText)]
        assert "".join(reasoning) == text.reasoning


def test_each_format_has_a_fixture() -> None:
    assert {path.stem for path in FIXTURES.iterdir()} == set(names())


@pytest.mark.parametrize("name", names())
def test_what_stands_in_the_texts(name: str) -> None:
    known = fixture(name)
    for text in known.texts + known.ambiguous:
        check(name, text)


@pytest.mark.parametrize("name", names())
def test_when_it_is_known(name: str) -> None:
    texts = [text for text in fixture(name).texts if text.known]
    assert texts
    for text in texts:
        assert became_known(name, text.plain) == text.known


@pytest.mark.parametrize("name", names())
def test_what_only_looks_like_a_call(name: str) -> None:
    for text in fixture(name).no_calls:
        check(name, Text(text, [], content=text))


@pytest.mark.parametrize("name", [name for name in MARKED if name not in ("pythonic",)])
def test_marks_that_are_not_quite_right_mark_nothing(name: str) -> None:
    how = find(name).reads
    assert isinstance(how, Marks)
    text = fixture(name).texts[0].plain
    marks = [mark for mark in how.states["content"].on if len(mark) > 1]
    for spoil in (
        lambda mark: "",
        lambda mark: mark[:-1],
        lambda mark: mark[0] + " " + mark[1:],
        lambda mark: mark[:-1] + " " + mark[-1],
        html.escape,
    ):
        spoilt = "As in: " + text
        for mark in marks:
            spoilt = spoilt.replace(mark, spoil(mark))
        if spoilt != "As in: " + text:
            check(name, Text(spoilt, [], content=spoilt))
