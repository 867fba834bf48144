"""Effects `warm` and `dry_run`: something runs ahead, and the call comes fresh all the same."""

from tests.broker.desk import Desk


def _desk() -> Desk:
    return Desk(allowed="read book")


def test_a_call_that_was_prepared_is_executed_and_counted_apart() -> None:
    desk = _desk()
    assert desk.guess(tool="book") == ["start run-1 book speculative"]
    desk.now = 2
    assert desk.ended("run-1", "nobody's") == []
    assert desk.guess(tool="book", sealed=True) == [], "it is prepared already"
    assert desk.call("c", tool="book") == ["start run-2 book authoritative"]
    desk.now = 5
    assert desk.ended("run-2") == ["answer c warmed result 3 0"]
    ledger = desk.broker.ledger
    assert (dict(ledger.hits), ledger.saved_s) == ({"warmed": 1}, 0.0)
    assert (dict(ledger.started), dict(ledger.unused), dict(ledger.ended)) == ({}, {}, {"warmed": 1})
    assert dict(ledger.prepared) == {"started": 1}
    assert ledger.service_s == {"book": 2.0}, "what can be hidden is the time of the preparation"
    assert desk.broker.live == 0


def test_what_is_not_done_when_its_call_comes_is_stopped() -> None:
    desk = _desk()
    desk.guess(tool="book")
    assert desk.call("c", tool="book") == ["cancel run-1", "start run-2 book authoritative"]
    assert desk.ended("run-2") == ["answer c executed result 0 0"]
    assert dict(desk.broker.ledger.prepared) == {"started": 1, "unused": 1}


def test_what_waits_when_its_call_comes_is_dropped() -> None:
    desk = _desk()
    desk.prompt = False
    desk.guess(tool="book")
    assert desk.call("c", tool="book") == ["cancel run-1", "start run-2 book authoritative"]
    assert dict(desk.broker.ledger.prepared) == {}


def test_a_preparation_that_fails_prepares_nothing() -> None:
    desk = _desk()
    desk.guess(tool="book")
    assert desk.ended("run-1", None) == []
    assert desk.call("c", tool="book") == ["start run-2 book authoritative"]
    assert desk.ended("run-2") == ["answer c executed result 0 0"]


def test_writes_neither_void_nor_forbid_it_for_its_own_call_is_one() -> None:
    desk = _desk()
    desk.call("w", tool="write")
    assert desk.guess() == [], "a read does not run while what it reads is written"
    assert desk.guess(tool="book") == ["start run-2 book speculative"]
    desk.ended("run-2")
    desk.broker.begin_write(frozenset("a"), desk.now)
    assert desk.call("c", tool="book") == ["start run-3 book authoritative"]
    assert desk.ended("run-3") == ["answer c warmed result 0 0"]


def test_it_is_forgotten_after_its_retention_and_counts_as_unused() -> None:
    desk = _desk()
    desk.guess(tool="book")
    desk.ended("run-1")
    assert desk.at(10) == []
    assert desk.broker.live == 0
    assert dict(desk.broker.ledger.prepared) == {"started": 1, "unused": 1}
    assert desk.broker.ledger.unused_of == {"book": 1}


def test_it_gives_way_to_authoritative_work_and_needs_the_operator_s_word() -> None:
    desk = Desk(allowed="book", slots=1)
    desk.guess(tool="book")
    assert desk.call("c") == ["cancel run-1", "start run-2 read authoritative"]
    assert Desk(allowed="read").guess(tool="book") == []
