"""How early calls are foreseen in a turn's stream."""

from pathlib import Path
from typing import Any

import pytest

from paste_proxy.lab.prediction.early import PIECE, Lead, foreseen
from paste_proxy.lab.prediction.sessions import Turn
from paste_proxy.predict.model import Call, Candidate
from tests.lab.prediction.small import Told, candidate, says, session

RIGHT = candidate("look", at=1, deep=True)
LOOK: tuple[str, dict[str, Any]] = ("look", {"at": 1, "why": "so", "deep": True})


@pytest.fixture
def turn(tmp_path: Path) -> Turn:
    [turn] = session(
        tmp_path, says("t" * PIECE, LOOK, ("see", {}), reasoning="r" * (PIECE + 10)), ignored=["why"]
    ).turns
    return turn


def test_it_hears_all_of_the_turn_in_order(turn: Turn) -> None:
    stream = Told(lambda told: [])
    assert foreseen(stream, turn) == [Lead(None, None)] * 2
    assert stream.told == [
        "r" * PIECE,
        "r" * 10,
        "t" * PIECE,
        ("named", "look"),
        ("at", 1),
        ("deep", True),
        Call("look", {"at": 1, "deep": True}),
        ("named", "see"),
        Call("see", {}),
    ]


def right_from(count: int, until: int = 99) -> Told:
    """The first call, with so many things told."""
    return Told(lambda told: [RIGHT] if count <= len(told) < until else [candidate("other")])


def test_what_is_left_counts_from_the_moment_that_it_stays_right(turn: Turn) -> None:
    whole = turn.characters
    call, second = turn.calls
    assert whole == 2 * PIECE + 10 + call.characters + second.characters
    assert foreseen(right_from(0), turn)[0].left == 1.0
    assert foreseen(right_from(1), turn)[0].left == (whole - PIECE) / whole
    assert foreseen(right_from(3), turn)[0].left == (call.characters + second.characters) / whole
    assert foreseen(right_from(4), turn)[0].left == (call.characters - call.head + second.characters) / whole
    at = len('{"at": 1}')
    assert (
        foreseen(right_from(5), turn)[0].left == (call.characters - call.head - at + second.characters) / whole
    )


def test_with_the_last_argument_it_is_too_late(turn: Turn) -> None:
    assert foreseen(right_from(6), turn)[0].left is None


def test_who_changes_its_mind_has_not_foreseen(turn: Turn) -> None:
    assert foreseen(right_from(0, until=5), turn)[0].left is None

    def wavering(told: list[Any]) -> list[Candidate]:
        return [RIGHT] if len(told) != 2 else []

    assert foreseen(Told(wavering), turn)[0].left == (turn.characters - 2 * PIECE - 10) / turn.characters


def test_a_later_call_is_looked_for_once_the_one_before_is_complete(turn: Turn) -> None:
    def second(told: list[Any]) -> list[Candidate]:
        return [candidate("see")] if any(isinstance(one, Call) for one in told) else []

    assert foreseen(Told(second), turn)[1].left == turn.calls[1].characters / turn.characters


def test_nothing_but_the_first_candidate_counts(turn: Turn) -> None:
    assert foreseen(Told(lambda told: [candidate("look", at=1), RIGHT]), turn)[0].left is None


def test_a_later_call_may_be_foreseen_while_the_first_one_is_not_even_begun(turn: Turn) -> None:
    def both(told: list[Any]) -> list[Candidate]:
        asked = any(isinstance(one, Call) for one in told)
        return [candidate("see")] if asked else [RIGHT, candidate("see")] if len(told) > 1 else []

    whole, second = turn.characters, turn.calls[1]
    assert foreseen(Told(both), turn)[1] == Lead(second.characters / whole, (whole - PIECE - 10) / whole)


def test_a_later_call_was_not_foreseen_if_it_was_given_up_meanwhile(turn: Turn) -> None:
    def wavering(told: list[Any]) -> list[Candidate]:
        asked = any(isinstance(one, Call) for one in told)
        named = ("named", "see") in told
        return [RIGHT, candidate("see")] if not asked else [candidate("see")] if named else []

    whole, second = turn.characters, turn.calls[1]
    left = (second.characters - second.head) / whole
    assert foreseen(Told(wavering), turn)[1] == Lead(left, left)
