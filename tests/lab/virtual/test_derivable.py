"""What an oracle may know, and from when on."""

from pathlib import Path
from typing import Any

import pytest

from paste_proxy.lab.virtual.derivable import Derivable, known_from, typical
from paste_proxy.lab.virtual.recorded import RecordedCall
from tests.lab.virtual.service import workload

TEXTS = (
    "I am ann, of 12 Main Street",
    "see https://docs.test/a/b and /srv/data/in/x.csv",
    "seven: 17 or 170, JFK",
)


def call(tool: str = "get", **arguments: Any) -> RecordedCall:
    return RecordedCall(tool, arguments, "", "", "", 0.0)


@pytest.mark.parametrize(
    ("value", "since"),
    [
        ("ann", 0),
        ("an", None),  # a short string inside of another is there by chance
        ("12 Main", 0),
        ("https://docs.test/a/b", 1),
        ("http://docs.test/a/b", 1),
        ("/mnt/other/in/x.csv", 1),
        ("in/x.csv", 1),
        ("x.tsv", None),
        ("JFK", 2),
        ("FK", None),
        (17, 2),
        (17.0, 2),
        (70, None),
        (7, 0),
        (-9.5, 0),
        (True, 0),
        (None, 0),
        ("", 0),
        (["ann", {"code": "JFK"}], 2),
        (["ann", "bob"], None),
        ([], 0),
    ],
)
def test_a_value_is_known_from_where_it_stands_word_for_word(value: Any, since: int | None) -> None:
    assert known_from(call(argument=value), TEXTS, {}) == since


def test_a_call_is_known_with_the_last_of_its_values() -> None:
    assert known_from(call(who="ann", where="JFK"), TEXTS, {}) == 2
    assert known_from(call(who="ann", where="LAX"), TEXTS, {}) is None
    assert known_from(call(), TEXTS, {}) == 0


def test_what_many_tasks_call_a_tool_with_needs_no_source() -> None:
    learnt = [(f"task {number % 6}", call(unit="metric", city=f"city {number}")) for number in range(12)]
    values = typical(learnt)
    assert values["get", "unit"] == {"metric"}
    assert values["get", "city"] == frozenset()
    assert known_from(call(unit="metric"), TEXTS, values) == 0
    assert known_from(call("other", unit="metric"), TEXTS, values) is None


def test_what_one_task_repeats_is_not_typical() -> None:
    assert typical([("task", call(unit="metric"))] * 12)["get", "unit"] == frozenset()


def test_reads_are_known_up_to_the_next_write(tmp_path: Path) -> None:
    """The service's session: who it is, two orders, a cancellation, one order again."""
    service = workload(tmp_path)
    session = service.measured[0].session
    derivable = Derivable(service.world.specs, ())
    user, first, second = (turn.calls[0].arguments for turn in session.turns[:3])
    found = [[call.arguments for call in derivable.calls(session, turn)] for turn in range(8)]
    assert found == [[user], [first, second], [second], [], [second], [], [], []]
