"""Histories are those of the core, and learning is from each turn with the history before it."""

from pathlib import Path

from paste_proxy.lab.prediction.lessons import teach, tools_of, turns_of
from paste_proxy.predict.model import Call
from tests.lab.prediction.small import Teller, result, says, session, user


def test_every_turn_is_a_lesson_with_what_was_known_before_it(tmp_path: Path) -> None:
    one = session(
        tmp_path,
        user("Look."),
        says("I look.", ("look", {"at": 1}), ("see", {})),
        result(0, "a"),
        result(1, "b"),
        says("Again.", ("look", {"at": 2})),
        result(0, "c"),
        says("Done."),
    )
    teller = Teller()
    teach(teller, one)
    assert [(before, calls) for _, before, calls in teller.lessons] == [
        ([], [Call("look", {"at": 1}), Call("see", {})]),
        (["look", "see"], [Call("look", {"at": 2})]),
        (["look", "see", "look"], []),
    ]
    assert len({name for name, _, _ in teller.lessons}) == 1
    assert tools_of([one]) == {"look", "see"}
    said = [[(text.role, text.text) for text in history.said] for history, _ in turns_of(one)]
    assert said[0] == [("user", "Look.")]
    assert said[2] == [("user", "Look."), ("assistant", "I look."), ("assistant", "Again.")]
