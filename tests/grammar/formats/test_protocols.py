"""Content goes on as it comes, and the calls in it are told beside it, or taken out of it."""

import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.calls import CallAssembler
from paste_proxy.grammar.events import CallOpened, CallSealed, ContentText, GrammarEvent, Malformed
from paste_proxy.grammar.formats import TextReader, find
from paste_proxy.grammar.formats.protocols import ObservedText, parameters
from paste_proxy.grammar.formats.protocols_fenced import BlockReader, CommandBody
from paste_proxy.grammar.requests import RequestTool
from tests.grammar.formats.found import CUTS, pieces


def lists() -> TextReader:
    return TextReader(find("pythonic"), tools=(RequestTool("f", {}), RequestTool("g", {})))


def first_list() -> TextReader:
    return TextReader(find("pythonic"))


def shell() -> ObservedText:
    body = BlockReader(lambda found: CommandBody("bash", "command", found), languages={"bash"})
    return ObservedText(body, CallAssembler())


def run(
    make: Callable[[], TextReader | ObservedText], text: str, lengths: Sequence[int] = ()
) -> list[GrammarEvent]:
    reader = make()
    out: list[GrammarEvent] = []
    for piece in pieces(text, lengths):
        reader.feed(piece, 7, out)
    reader.end(8, out, finished=True)
    return out


def content(events: Sequence[GrammarEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ContentText))


def sealed(events: Sequence[GrammarEvent]) -> list[tuple[str, str]]:
    return [(event.name, event.arguments) for event in events if isinstance(event, CallSealed)]


@given(CUTS)
def test_lists_are_taken_out_of_the_content(lengths: list[int]) -> None:
    events = run(lists, ' [f(a=1), g()] and [1], [x](f), [[g(b="]")]] [f', lengths)
    assert content(events) == " and [1], [x](f), [] [f"
    assert sealed(events) == [("f", '{"a": 1}'), ("g", "{}"), ("g", '{"b": "]"}')]
    assert not [event for event in events if isinstance(event, Malformed)]


@given(CUTS)
def test_without_known_tools_only_the_beginning_is_a_list(lengths: list[int]) -> None:
    events = run(first_list, "\n[h(a=1)] [h(a=2)]", lengths)
    assert (content(events), sealed(events)) == (" [h(a=2)]", [("h", '{"a": 1}')])
    for text in ("[1] as said", "[link](url)", "text [h(a=1)]", "[h", " ", "["):
        assert content(run(first_list, text, lengths)) == text


def test_text_is_held_back_only_while_it_may_be_a_list() -> None:
    reader = first_list()
    out: list[GrammarEvent] = []
    for piece in ("[", "link", "](u", "rl)"):
        reader.feed(piece, 0, out)
    assert out == [ContentText("[link"), ContentText("](u"), ContentText("rl)")]


@given(st.text(st.sampled_from("[]fg(,)=1 'x"), max_size=24), CUTS)
def test_no_character_is_lost_where_no_call_is(text: str, lengths: list[int]) -> None:
    for make in (lists, first_list):
        events = run(make, text, lengths)
        whole = run(make, text)
        assert content(events) == content(whole)
        assert sealed(events) == sealed(whole)
        if not [event for event in events if isinstance(event, CallOpened)]:
            assert content(events) == text


def test_a_call_that_is_broken_is_malformed_and_not_sealed() -> None:
    events = run(lists, "[f(1), g()]")
    assert sealed(events) == [("g", "{}")]
    assert Malformed("tool call 0: an argument without a name", 7) in events
    assert sealed(run(lists, "[f(a=1")) == []


@pytest.mark.parametrize("lengths", [[], [1]])
def test_observed_text_stays_content(lengths: list[int]) -> None:
    text = "So:\n```bash\nls\n```\nDone."
    events = run(shell, text, lengths)
    assert content(events) == text
    assert sealed(events) == [("bash", '{"command": "ls"}')]


def test_parameters_have_the_order_of_the_schema() -> None:
    tools = [
        RequestTool("f", {"type": "object", "properties": {"b": {}, "a": {}}}),
        RequestTool("g", {}),
        RequestTool("h", {"properties": None}),
    ]
    assert parameters(tools) == {"f": ("b", "a"), "g": (), "h": ()}


@given(st.lists(st.sampled_from(("[", " ", "f", "f(", "a=1", ")", "]", "1", ", ", "x(")), max_size=10), CUTS)
def test_brackets_before_a_list_are_text(parts: list[str], lengths: list[int]) -> None:
    text = f"x {''.join(parts)}"
    assert said(run(lists, text, lengths)) == said(run(lists, text, [1]))


def test_many_brackets_take_less_than_two_microseconds_each() -> None:
    text = "x" + "[" * 200_000
    begun = time.process_time()
    assert said(run(lists, text)) == (text, [])
    assert time.process_time() - begun < 0.4
    calls = ["CallOpened", "ArgumentText", "ArgumentText", "ArgumentSealed", "ArgumentText", "CallSealed"]
    assert said(run(lists, f"{text}f(a=1)]"))[0] == text[:-1]
    assert set(said(run(lists, f"{text}f(a=1)]"))[1]) == set(calls)


def said(events: list[GrammarEvent]) -> tuple[str, list[str]]:
    """The content, and the kinds of all else."""
    content = "".join(event.text for event in events if isinstance(event, ContentText))
    other = [type(event).__name__ for event in events if not isinstance(event, ContentText)]
    return content, other
