"""What our own reader makes of a text, in the form in which the peers tell it."""

from collections.abc import Iterator

from paste_proxy.grammar.events import (
    CallSealed,
    ContentText,
    GrammarEvent,
    ReasoningText,
)
from paste_proxy.grammar.formats import TextReader, find, find_reasoning
from paste_proxy.grammar.requests import RequestTool
from tests.conformance.parsers.corpus import PARAMETERS, Case
from tests.conformance.parsers.outcomes import Outcome, canonical, parsers, plain
from tests.conformance.parsers.peers.pieces import increments

OFFERED = [RequestTool(name, parameters) for name, parameters in PARAMETERS.items()]


def reader(case: Case, peer: str) -> TextReader:
    """Told by the names that `peer` gives the formats."""
    calls, reasoning = parsers(peer, case)
    return TextReader(find(calls), find_reasoning(reasoning) if reasoning else None, OFFERED)


def heard(case: Case, peer: str, mode: str) -> Iterator[tuple[int, list[GrammarEvent]]]:
    """The events of a text, and how many of its characters were fed by then."""
    reading, fed = reader(case, peer), 0
    for increment in increments(case.text, case.writer.specials, mode):
        out: list[GrammarEvent] = []
        reading.feed("".join(increment), fed, out)
        fed += sum(map(len, increment))
        yield fed, out
    out = []
    reading.end(fed, out, finished=case.content is not None)
    yield fed, out


def outcome(case: Case, peer: str, mode: str) -> Outcome:
    """Only sealed calls are calls; of a text that was cut, no text."""
    calls, content, reasoning = [], [], []
    for _, events in heard(case, peer, mode):
        for event in events:
            match event:
                case CallSealed():
                    calls.append((event.name, canonical(event.arguments)))
                case ContentText():
                    content.append(event.text)
                case ReasoningText():
                    reasoning.append(event.text)
    return Outcome(
        tuple(calls),
        "" if case.content is None else plain("".join(content)),
        plain("".join(reasoning)) if case.reasoning else "",
    )
