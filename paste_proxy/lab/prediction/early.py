"""How early in a turn's stream its calls are foreseen: levels 1 to 3, told as the model writes."""

from collections.abc import Iterator

import msgspec

from paste_proxy.lab.prediction.sessions import Turn, TurnCall, canonical
from paste_proxy.predict.model import Candidate, TurnPredictor

PIECE = 40
"""Characters of a content chunk: ten tokens, as servers send them under load."""


class Look(msgspec.Struct, frozen=True):
    """Into what is expected, with so many characters of the turn written."""

    passed: int
    right: bool


def is_call(candidate: Candidate, call: TurnCall) -> bool:
    """Exactly, but for rationales."""
    return candidate.tool == call.call.tool and canonical(candidate.arguments) == call.canonical


class Lead(msgspec.Struct, frozen=True):
    """When a call was foreseen, as the share of its turn that was still to come; None: it was not before its
    last argument was complete."""

    left: float | None
    """When the first candidate became this call for good. The calls before it are complete by then."""
    ahead: float | None
    """The same, but a later call counts from when it stood among as many first candidates as there are calls up
    to it, if it did so until the first call began, and was the first one as soon as its turn came. Such a call
    can run while the calls before it are not even written."""


def foreseen(stream: TurnPredictor, turn: Turn) -> list[Lead]:
    """Of each call."""
    leads: list[Lead] = []
    passed, whole = 0, turn.characters
    early: list[list[Look]] = []
    for place, call in enumerate(turn.calls):
        looks = [Look(passed, _is_first(stream, call))]
        if not place:
            early = [list(looks) for looks in zip(*_while_heard(stream, turn), strict=True)]
            looks = early[0]
            passed = looks[-1].passed
        looks = [*looks, *_while_written(stream, call, passed)]
        passed += call.characters
        since = _for_good(looks)
        ahead = since
        if place and all(look.right for look in looks):
            since_early = _for_good(early[place])
            ahead = since if since_early is None else since_early
        leads.append(Lead(_left(since, whole), _left(ahead, whole)))
        stream.asked(call.call)
    return leads


def _left(since: int | None, whole: int) -> float | None:
    return None if since is None else (whole - since) / whole


def _while_heard(stream: TurnPredictor, turn: Turn) -> Iterator[list[Look]]:
    """Before anything is said, and with each piece: whether each of the calls is among the first candidates."""
    passed = 0
    yield _among_first(stream, turn, passed)
    for text in (turn.reasoning, turn.text):
        for start in range(0, len(text), PIECE):
            piece = text[start : start + PIECE]
            stream.heard(piece)
            passed += len(piece)
            yield _among_first(stream, turn, passed)


def _among_first(stream: TurnPredictor, turn: Turn, passed: int) -> list[Look]:
    found = stream.candidates(len(turn.calls))
    return [
        Look(passed, any(is_call(one, call) for one in found[: place + 1]))
        for place, call in enumerate(turn.calls)
    ]


def _while_written(stream: TurnPredictor, call: TurnCall, passed: int) -> Iterator[Look]:
    """Up to the last argument that is compared: with it, nothing is left to foresee."""
    stream.named(call.call.tool)
    passed += call.head
    yield Look(passed, _is_first(stream, call))
    missing = len(call.call.arguments)
    for one in call.written:
        passed += one.characters
        if one.compared:
            stream.argued(one.name, one.value)
            missing -= 1
            if missing:
                yield Look(passed, _is_first(stream, call))


def _is_first(stream: TurnPredictor, call: TurnCall) -> bool:
    return any(is_call(candidate, call) for candidate in stream.candidates(1))


def _for_good(looks: list[Look]) -> int | None:
    since = None
    for look in reversed(looks):
        if not look.right:
            break
        since = look.passed
    return since
