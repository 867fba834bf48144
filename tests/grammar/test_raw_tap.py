"""What the raw text says before the parsed stream does: told once, told ahead, and never against it."""

from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.calls import CallAssembler
from paste_proxy.grammar.events import (
    ArgumentText,
    CallOpened,
    CallSealed,
    ContentText,
    Foreseen,
    GrammarEvent,
    Malformed,
)
from paste_proxy.grammar.raw_tap import RawTap
from tests.grammar.toy_format import ToyReader

TEXT = 'a <<f{"x": 1}>> <<g{"y": "zz"}>>'


def kinds(events: list[Foreseen]) -> list[str]:
    return [type(one.event).__name__ for one in events]


def parsed(*calls: tuple[str, str]) -> list[GrammarEvent]:
    """A parsed stream that tells each call in one delta."""
    out: list[GrammarEvent] = []
    assembler = CallAssembler()
    for index, (name, arguments) in enumerate(calls):
        assembler.delta(index, f"call_{index}", name, arguments, 0, out)
    return out


def tap(*tools: str) -> RawTap:
    return RawTap(ToyReader(), tools or ("f", "g"))


def test_a_call_is_foreseen_from_its_name_on() -> None:
    raw = tap()
    assert raw.raw("a <<f") == []
    assert raw.raw("{")[0].event == CallOpened(0, "", "f")
    assert isinstance(raw.raw('"x": 1}')[-1].event, CallSealed)
    assert not [one for one in raw.raw(">> text") if isinstance(one.event, ContentText)]


def test_what_the_parsed_stream_said_is_not_told_again() -> None:
    raw = tap()
    raw.parsed(parsed(("f", '{"x": 1}')))
    assert raw.raw('<<f{"x": 1}>>') == []
    assert raw.raw("<<g{}>>")[0].event == CallOpened(1, "", "g")
    assert not raw.disagrees


def test_only_the_text_beyond_the_parsed_stream_s_is_told() -> None:
    raw = tap()
    raw.parsed([CallOpened(0, "c", "f"), ArgumentText(0, '{"x"')])
    texts = [one.event.text for one in raw.raw('<<f{"x": 1}>>') if isinstance(one.event, ArgumentText)]
    assert "".join(texts) == ": 1}"


def test_calls_of_tools_that_are_not_offered_are_passed_over() -> None:
    raw = tap("g")
    foreseen = raw.raw(TEXT)
    assert {one.event.ordinal for one in foreseen} == {0}
    assert foreseen[0].event == CallOpened(0, "", "g")


class Says:
    """A reader that finds the same in any text."""

    def __init__(self, *events: GrammarEvent) -> None:
        self._events = events

    def feed(self, text: str, at: int, out: list[GrammarEvent]) -> None:
        out.extend(self._events)


def test_nothing_is_foreseen_against_the_parsed_stream() -> None:
    raw = tap()
    raw.raw("<<f{")
    raw.parsed([CallOpened(0, "c", "g")])
    assert raw.disagrees
    assert raw.raw('"x": 1}>>') == []


def test_other_arguments_are_a_disagreement_other_spacing_is_none() -> None:
    sealed = CallSealed(0, "", "f", '{"x": 1}', '{"x":1}')
    for arguments, canonical, disagrees in (('{"x":1}', '{"x":1}', False), ('{"x":2}', '{"x":2}', True)):
        raw = RawTap(Says(CallOpened(0, "", "f"), sealed), ["f"])
        assert kinds(raw.raw("text")) == ["CallOpened", "CallSealed"]
        raw.parsed([CallOpened(0, "c", "f"), CallSealed(0, "c", "f", arguments, canonical)])
        assert raw.disagrees == disagrees


def test_malformed_text_is_where_it_ends() -> None:
    raw = tap()
    assert not [one for one in raw.raw("<<f!{}>>") if isinstance(one.event, Malformed)]
    assert raw.raw("<<g{}>>") == []
    assert not raw.disagrees


@given(st.lists(st.integers(0, 40)), st.lists(st.integers(0, 40), max_size=2))
def test_however_it_is_cut_each_event_is_told_once_and_the_sides_agree(
    cuts: list[int], places: list[int]
) -> None:
    """The parsed stream tells call n when the text has come to places[n] and the call's end."""
    raw, told = tap(), list[Foreseen]()
    calls = [("f", '{"x": 1}'), ("g", '{"y": "zz"}')]
    events = [parsed(*calls[:1]), parsed(*calls)[len(parsed(*calls[:1])) :]]
    ends = [TEXT.index("}") + 1, len(TEXT) - 2]
    due = [max(end, place) for end, place in zip(ends, [*places, 0, 0], strict=False)]
    at = 0
    for end in [*sorted({cut % (len(TEXT) + 1) for cut in cuts}), len(TEXT)]:
        for number, place in enumerate(due):
            if at < place <= end:
                raw.parsed(events[number])
        told += raw.raw(TEXT[at:end])
        at = end
    assert not raw.disagrees
    opened = [one.event for one in told if isinstance(one.event, CallOpened)]
    assert len(opened) == len({one.ordinal for one in opened})
    sealed = [one.event.ordinal for one in told if isinstance(one.event, CallSealed)]
    assert len(sealed) == len(set(sealed))


def test_a_text_without_any_call_is_of_another_format() -> None:
    tap = RawTap(ToyReader(), ["f"])
    tap.parsed([CallOpened(0, "c", "f"), CallSealed(0, "c", "f", "{}", "{}")])
    tap.raw("no marks of ours")
    assert tap.missed
    tap.raw("<<f{}>>")
    assert not tap.missed
