"""What a reader told, in a form that does not say how its input was cut."""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from paste_proxy.grammar.events import (
    ArgumentGrown,
    ArgumentText,
    ContentText,
    GrammarEvent,
    Malformed,
    Path,
    ReasoningText,
)


class Whole(msgspec.Struct):
    """Events in order, neighbouring texts as one; what is read out of arguments apart, by call and place."""

    events: list[GrammarEvent]
    texts: dict[int, str]
    grown: dict[tuple[int, Path], str]
    content: str
    """Where calls are told beside it: behind the piece of it in which they were found."""


def whole(events: Iterable[GrammarEvent], *, places: bool = True, in_text: bool = False) -> Whole:
    """Where a text was cut must not show; `places` keeps the byte that a `Malformed` stands at. `in_text`:
    calls are told beside the content."""
    told: list[GrammarEvent] = []
    texts: dict[int, str] = defaultdict(str)
    grown: dict[tuple[int, Path], str] = defaultdict(str)
    content = []
    for event in events:
        match event:
            case ContentText(text) if in_text:
                content.append(text)
            case ArgumentText(ordinal, text):
                texts[ordinal] += text
            case ArgumentGrown(ordinal, path, text):
                grown[ordinal, path] += text
            case Malformed(why, _) if not places:
                told.append(Malformed(why, 0))
            case _:
                _append(told, event)
    return Whole(told, dict(texts), dict(grown), "".join(content))


def _append(told: list[GrammarEvent], event: GrammarEvent) -> None:
    last = told[-1] if told else None
    match last, event:
        case (ContentText(before), ContentText(text)):
            told[-1] = ContentText(before + text)
        case (ReasoningText(before), ReasoningText(text)):
            told[-1] = ReasoningText(before + text)
        case _:
            told.append(event)
