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


def foreseen(stream: TurnPredictor, turn: Turn) -> list[float | None]:
    """Of each call, the share of the turn that was still to come when the first candidate became that call for
    good; None where it hadn't before the call's last argument was complete."""
    left: list[float | None] = []
    passed, whole = 0, turn.characters
    for place, call in enumerate(turn.calls):
        looks = [Look(passed, _is_first(stream, call))]
        if not place:
            looks += _while_heard(stream, turn, call)
            passed = looks[-1].passed
        looks += _while_written(stream, call, passed)
        passed += call.characters
        since = _for_good(looks)
        left.append(None if since is None else (whole - since) / whole)
        stream.asked(call.call)
    return left


def _while_heard(stream: TurnPredictor, turn: Turn, call: TurnCall) -> Iterator[Look]:
    passed = 0
    for text in (turn.reasoning, turn.text):
        for start in range(0, len(text), PIECE):
            piece = text[start : start + PIECE]
            stream.heard(piece)
            passed += len(piece)
            yield Look(passed, _is_first(stream, call))


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
