"""Arguments that seem to have no influence."""

from pathlib import Path
from typing import Any

from paste_proxy.lab.prediction.influence import Influence
from tests.lab.prediction.small import result, says, session, user

WHY = ["to see what is there", "because the user asked", "to be quite sure of it"]


def seen(folder: Path, name: str, values: list[Any], results: list[str], **others: Any) -> Influence:
    messages = [user("Go.")]
    for value, text in zip(values, results, strict=True):
        messages += [says("", ("look", {name: value, **others})), result(0, text)]
    influence = Influence()
    influence.see(session(folder, *messages))
    return influence


def test_a_reason_that_changes_nothing_is_suggested(tmp_path: Path) -> None:
    influence = seen(tmp_path, "reason", WHY, ["a", "a", "a"], at=1)
    assert influence.inert() == {"look": ["reason"]}
    assert influence.undecided() == []
    assert str(influence.evidence["look", "reason"]) == "2 of 2"


def test_what_changes_the_result_is_not(tmp_path: Path) -> None:
    influence = seen(tmp_path, "reason", WHY, ["a", "b", "a"], at=1)
    assert influence.inert() == {}
    assert influence.undecided() == [("look", "reason")]


def test_without_calls_that_can_be_compared_nothing_is_decided(tmp_path: Path) -> None:
    same = seen(tmp_path, "toolDescription", [WHY[0]] * 3, ["a", "b", "c"])
    assert (same.inert(), same.undecided()) == ({}, [("look", "toolDescription")])


def test_what_is_no_free_text_or_stands_in_results_or_has_another_name_is_never_one(tmp_path: Path) -> None:
    for name, values, results in (
        ("reason", ["lost", "late", "lost"], ["a", "a", "a"]),
        ("reason", WHY, ["a", "a", f"cancelled: {WHY[2]}"]),
        ("reason", [1, 2, 3], ["a", "a", "a"]),
        ("query", WHY, ["a", "a", "a"]),
    ):
        influence = seen(tmp_path, name, values, results)
        assert (influence.inert(), influence.undecided()) == ({}, [])


def test_calls_that_differ_elsewhere_or_have_no_result_are_not_compared(tmp_path: Path) -> None:
    influence = Influence()
    influence.see(
        session(
            tmp_path,
            says("", ("look", {"reason": WHY[0], "at": 1}), ("look", {"reason": WHY[1], "at": 2})),
            result(0, "a"),
            result(1, "b"),
            says("", ("look", {"reason": WHY[2], "at": 1})),
        )
    )
    assert str(influence.evidence["look", "reason"]) == "0 of 0"
