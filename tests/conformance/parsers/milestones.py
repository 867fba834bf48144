"""After how many characters of a reply the parts of its calls are known: to us, and to the client of a peer."""

from collections.abc import Iterable, Iterator

import msgspec

from paste_proxy.grammar.calls import CallAssembler
from paste_proxy.grammar.events import ArgumentSealed, CallOpened, CallSealed, GrammarEvent
from tests.conformance.parsers.corpus import Case
from tests.conformance.parsers.ours import heard
from tests.conformance.parsers.outcomes import Told


class Milestones(msgspec.Struct):
    """Of one call: characters fed when each is known."""

    name: int
    arguments: dict[str, int]
    """By name: its value is complete."""
    seal: int = -1
    """The whole call; -1: never, and it is none."""

    def all(self) -> dict[str, int]:
        return {"name": self.name, "seal": self.seal} | {
            f"argument {key}": at for key, at in self.arguments.items()
        }


def ours(case: Case, peer: str, mode: str) -> list[Milestones]:
    """Call by call, of the same text in the same increments as `peer` got it."""
    return _milestones(heard(case, peer, mode))


def theirs(case: Case, told: Told) -> list[Milestones]:
    """Call by call: what a client knows that reads each delta as it comes."""
    return _milestones(_read(told, len(case.text)))


def _read(told: Told, length: int) -> Iterator[tuple[int, list[GrammarEvent]]]:
    calls = CallAssembler()
    for step in told.steps:
        out: list[GrammarEvent] = []
        calls.delta(step.call, "", step.name, step.arguments, step.fed, out)
        yield step.fed, out
    out = []
    calls.end(length, out, finished=True)
    yield length, out


def _milestones(told: Iterable[tuple[int, list[GrammarEvent]]]) -> list[Milestones]:
    calls: list[Milestones] = []
    for fed, events in told:
        for event in events:
            match event:
                case CallOpened():
                    calls.append(Milestones(fed, {}))
                case ArgumentSealed(ordinal, (str(key),)):
                    calls[ordinal].arguments[key] = fed
                case CallSealed(ordinal):
                    calls[ordinal].seal = fed
    return [call for call in calls if call.seal >= 0]
