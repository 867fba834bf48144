"""The broker as transcripts: what is told to it, and what it decides."""

import pytest

from paste_proxy.tools.ports import RunContext
from tests.broker.desk import S1, S2, UNTIED, Desk


def test_a_result_that_waits_is_reused() -> None:
    desk = Desk()
    assert desk.guess() == ["start run-1 read speculative"]
    desk.now = 3
    assert desk.ended("run-1") == []
    desk.now = 5
    assert desk.call("c") == ["answer c reused result 3 3"]


def test_a_run_under_way_is_joined() -> None:
    desk = Desk()
    desk.guess()
    desk.now = 2
    assert desk.call("c") == ["promote run-1"]
    desk.now = 5
    assert desk.ended("run-1") == ["answer c joined result 5 2"]


def test_a_queued_guess_is_promoted_and_hides_nothing() -> None:
    desk = Desk(slots=1)
    desk.call("b", 1, UNTIED)
    assert desk.guess(7, tool="fast") == []
    assert desk.call("c", 7, tool="fast") == []
    assert desk.ended("run-1") == ["answer b executed result 0 0", "start run-3 fast authoritative"]
    assert desk.ended("run-3") == ["answer c promoted result 0 0"]


def test_a_call_that_nobody_guessed_is_executed() -> None:
    desk = Desk()
    assert desk.call("c") == ["start run-1 read authoritative"]
    desk.now = 4
    assert desk.ended("run-1") == ["answer c executed result 4 0"]


@pytest.mark.parametrize(
    ("k", "context"), [(2, S1), (1, S2), (1, UNTIED), (1, RunContext("other tenant", "s1"))]
)
def test_another_call_session_or_tenant_gets_nothing(k: int, context: RunContext) -> None:
    desk = Desk()
    desk.guess()
    desk.ended("run-1")
    assert desk.call("c", k, context) == ["start run-2 read authoritative"]


def test_a_result_is_claimed_once() -> None:
    desk = Desk()
    desk.guess()
    desk.ended("run-1")
    assert desk.call("c1") == ["answer c1 reused result 0 0"]
    assert desk.call("c2") == ["start run-2 read authoritative"]


def test_two_equal_calls_never_share_a_run() -> None:
    desk = Desk()
    desk.guess()
    assert desk.call("c1") == ["promote run-1"]
    assert desk.call("c2") == ["start run-2 read authoritative"]


def test_an_error_is_never_released() -> None:
    desk = Desk()
    desk.guess()
    assert desk.ended("run-1", None) == []
    assert desk.call("c") == ["start run-2 read authoritative"]


def test_a_joined_run_that_fails_is_run_afresh_with_its_timeout_counted_from_the_call() -> None:
    desk = Desk()
    desk.guess()
    desk.now = 5
    desk.call("c")
    desk.now = 15
    assert desk.ended("run-1", None) == ["start run-2 read authoritative"]
    assert desk.at(34.9) == []
    assert desk.at(35) == ["cancel run-2", "fail c executed tool_timeout"]
    assert desk.broker.ledger.unused["speculative"] == 1


def test_the_author_and_the_operator_must_both_allow_it() -> None:
    assert Desk(allowed="").guess() == []
    assert Desk(allowed="write").guess(tool="write") == []


def test_permission_is_checked_again_at_release() -> None:
    desk = Desk()
    desk.guess()
    desk.ended("run-1")
    desk.broker.permits.switched_off.add("read")
    assert desk.call("c") == ["start run-2 read authoritative"]


def test_a_tool_known_to_be_short_stays_home() -> None:
    desk = Desk(min_service_s=0.02)
    desk.call("c", tool="fast")
    desk.now = 0.01
    desk.ended("run-1")
    assert desk.guess(tool="fast") == []
    assert desk.guess(tool="read") == ["start run-2 read speculative"]


def test_a_write_voids_what_was_read_before_it() -> None:
    desk = Desk()
    desk.guess(1)
    desk.ended("run-1")
    desk.guess(2)
    assert desk.call("w", tool="write") == ["cancel run-2", "start run-3 write authoritative"]
    assert desk.guess(3) == [], "nothing starts while the write is open"
    desk.ended("run-3")
    assert desk.call("c") == ["start run-4 read authoritative"]
    assert desk.guess(3) == ["start run-5 read speculative"]


def test_a_read_joined_before_a_write_began_is_still_released() -> None:
    desk = Desk()
    desk.guess()
    desk.call("c")
    desk.call("w", tool="write")
    assert desk.ended("run-1") == ["answer c joined result 0 0"]


def test_a_fingerprint_that_changed_is_run_afresh() -> None:
    desk = Desk()
    desk.guess(1)
    desk.ended("run-1", fingerprint=b"old")
    assert desk.call("c", 1, fingerprint=b"new") == ["start run-2 read authoritative"]
    desk.guess(2)
    desk.ended("run-3", fingerprint=b"same")
    assert desk.call("d", 2, fingerprint=b"same") == ["answer d reused result 0 0"]
    desk.guess(3)
    desk.call("e", 3, fingerprint=b"new")
    assert desk.ended("run-4", fingerprint=b"old") == ["start run-5 read authoritative"]


def test_max_age_counts_from_the_start_of_the_run() -> None:
    desk = Desk()
    desk.guess()
    desk.now = 15
    desk.ended("run-1")
    desk.now = 20
    assert desk.call("c") == ["start run-2 read authoritative"]


def test_retention_counts_from_the_end_of_the_run() -> None:
    desk = Desk()
    desk.guess()
    desk.now = 1
    desk.ended("run-1")
    assert desk.at(10.9) == []
    assert desk.broker.live == 1
    desk.at(11)
    assert desk.broker.live == 0
    assert desk.broker.ledger.ended == {"expired": 1}


@pytest.mark.parametrize(
    ("max_age", "asked", "outcome"),
    [(4, 3.5, "reused"), (4, 4, "executed"), (99, 12, "reused"), (None, 12, "reused")],
)
def test_a_result_s_own_max_age_counts_from_the_start_of_its_run(
    max_age: float | None, asked: float, outcome: str
) -> None:
    desk = Desk()
    desk.guess()
    desk.now = 3
    desk.ended("run-1", max_age=max_age)
    desk.at(asked)
    reused = desk.call("c") == ["answer c reused result 3 3"]
    assert reused == (outcome == "reused")


def test_a_result_that_is_too_old_when_it_comes_is_not_kept() -> None:
    desk = Desk()
    desk.guess()
    desk.ended("run-1", max_age=0)
    assert (desk.broker.live, desk.broker.ledger.ended) == (0, {"expired": 1})


@pytest.mark.parametrize(("max_age", "serves"), [(0, False), (1.5, False), (2, True), (9, True)])
def test_a_joined_run_whose_result_is_too_old_for_the_call_is_run_again(max_age: float, serves: bool) -> None:
    """What it gave may have been so before the call was issued, at 2 s of its run."""
    desk = Desk()
    desk.guess()
    desk.now = 2
    desk.call("c")
    desk.now = 3
    answer = desk.ended("run-1", max_age=max_age)
    assert answer == (["answer c joined result 3 2"] if serves else ["start run-2 read authoritative"])
    if not serves:
        assert desk.ended("run-2", max_age=max_age) == ["answer c executed result 0 0"]


def test_a_speculation_that_hangs_is_cancelled_at_max_age() -> None:
    desk = Desk()
    desk.guess()
    assert desk.at(20) == ["cancel run-1"]


def test_a_guess_is_taken_on_once() -> None:
    desk = Desk()
    desk.guess()
    assert desk.guess() == []
    desk.ended("run-1")
    assert desk.guess() == []


def test_authoritative_work_pre_empts_the_newest_guess_of_the_tool() -> None:
    desk = Desk(slots=9)
    desk.guess(1)
    desk.now = 1
    desk.guess(2)
    desk.call("c3", 3)
    assert desk.call("c4", 4) == ["cancel run-2", "start run-4 read authoritative"]
    assert desk.call("c5", 5) == ["cancel run-1", "start run-5 read authoritative"]
    assert desk.call("c6", 6) == []
    assert desk.broker.ledger.ended == {"cancelled": 2}


def test_a_sealed_call_moves_a_queued_guess_up() -> None:
    desk = Desk(speculative=1)
    desk.guess(1)
    desk.guess(2)
    desk.guess(3)
    desk.guess(3, sealed=True)
    assert desk.ended("run-1") == ["start run-3 read decided"]


def test_a_hit_of_a_sealed_call_is_counted_apart() -> None:
    desk = Desk()
    desk.guess(sealed=True)
    desk.ended("run-1")
    assert desk.call("c") == ["answer c reused result 0 0"]
    assert desk.broker.ledger.hits == {"decided": 1}


def test_results_over_the_cap_are_not_kept() -> None:
    desk = Desk()
    desk.guess()
    desk.ended("run-1", "x" * 101)
    assert desk.broker.live == 0
    assert desk.broker.ledger.wasted_bytes == 101


def test_a_session_over_its_cap_loses_its_oldest_result() -> None:
    desk = Desk()
    for k in (1, 2):
        desk.guess(k)
        desk.ended(f"run-{k}", "x" * 80)
    assert desk.broker.staging.total_bytes == 80
    assert desk.call("c", 2) == [f"answer c reused {'x' * 80} 0 0"]


def test_the_store_over_its_cap_loses_the_oldest_result_of_all() -> None:
    desk = Desk()
    for number, context in enumerate((S1, S2, RunContext("tenant", "s3"))):
        desk.guess(1, context)
        desk.ended(f"run-{number + 1}", "x" * 80)
    assert desk.broker.staging.total_bytes == 160
    assert desk.call("c", 1, S1) == ["start run-4 read authoritative"]


def test_too_many_waiting_calls_are_refused_and_guesses_never_count() -> None:
    desk = Desk(slots=1, queued=1)
    desk.call("c1", 1)
    for k in range(5, 9):
        desk.guess(k)
    assert desk.call("c2", 2) == []
    assert desk.call("c3", 3) == ["fail c3 executed tools_busy"]


def test_a_caller_that_leaves_stops_its_read_but_not_its_write() -> None:
    desk = Desk()
    desk.call("r", 1)
    desk.broker.abandon("r", desk.now)
    assert desk.decisions() == ["cancel run-1"]
    desk.call("w", tool="write")
    desk.broker.abandon("w", desk.now)
    assert desk.decisions() == []
    assert desk.guess() == [], "the write is still open"
    desk.ended("run-2")
    assert desk.guess() != []


def test_a_write_that_times_out_stays_open_until_it_has_really_ended() -> None:
    desk = Desk()
    desk.call("w", tool="write")
    assert desk.at(30) == ["cancel run-1", "fail w executed tool_timeout"]
    assert desk.guess() == []
    desk.ended("run-1", None)
    assert desk.guess() == ["start run-2 read speculative"]


def test_a_caller_that_leaves_the_queue_leaves_no_run() -> None:
    desk = Desk(slots=1)
    desk.call("c1", 1)
    desk.call("c2", 2)
    desk.broker.abandon("c2", desk.now)
    assert desk.ended("run-1") == ["answer c1 executed result 0 0"]


def test_a_session_that_is_over_leaves_nothing_staged() -> None:
    desk = Desk()
    desk.guess(1)
    desk.ended("run-1")
    desk.guess(2)
    desk.guess(1, S2)
    desk.broker.discard_session("s1", desk.now)
    assert desk.decisions() == ["cancel run-2"]
    assert desk.broker.live == 1


def test_waste_is_counted_in_runs_seconds_and_bytes() -> None:
    desk = Desk()
    desk.guess(1)
    desk.guess(2)
    desk.now = 2
    desk.ended("run-1", "12345")
    desk.now = 3
    desk.broker.discard_session("s1", desk.now)
    ledger = desk.broker.ledger
    assert ledger.unused == {"speculative": 2}
    assert ledger.wasted_worker_s == 2 + 3
    assert ledger.wasted_bytes == 5


def test_a_call_never_waits_for_a_run_that_waits_for_a_worker() -> None:
    desk = Desk()
    desk.prompt = False
    desk.guess()
    desk.now = 5
    assert desk.call("c") == ["cancel run-1", "start run-2 read authoritative"]
    desk.broker.began("run-2", desk.now)
    desk.now = 6
    assert desk.ended("run-2") == ["answer c promoted result 1 0"]
    assert desk.broker.ledger.unused == {}, "it had not begun, and cost nothing"


def test_what_was_written_while_a_run_waited_for_a_worker_voids_it() -> None:
    desk = Desk()
    desk.prompt = False
    desk.guess()
    assert desk.call("w", tool="write") == ["cancel run-1", "start run-2 write authoritative"]


def test_a_read_that_nobody_waits_for_keeps_its_slot_until_it_has_ended() -> None:
    desk = Desk(slots=1)
    desk.call("c1", 1)
    desk.broker.abandon("c1", desk.now)
    assert desk.decisions() == ["cancel run-1"]
    assert desk.call("c2", 2) == []
    assert desk.ended("run-1", None) == ["start run-2 read authoritative"]


def test_a_joined_run_that_nobody_waits_for_any_more_is_waste() -> None:
    desk = Desk()
    desk.guess()
    desk.call("c")
    desk.now = 4
    desk.broker.abandon("c", desk.now)
    ledger = desk.broker.ledger
    assert (ledger.unused, ledger.wasted_worker_s, ledger.calls_abandoned) == ({"speculative": 1}, 4, 1)


def test_a_sealed_call_that_was_only_queued_counts_as_promoted() -> None:
    desk = Desk(speculative=1)
    desk.guess(1)
    desk.guess(2, sealed=True)
    desk.call("c", 2)
    desk.ended("run-3")
    assert desk.broker.ledger.hits == {"promoted": 1}


def test_guesses_that_have_not_begun_end_with_their_turn() -> None:
    desk = Desk(speculative=1)
    for k in (1, 2, 3):
        desk.guess(k)
    desk.broker.discard_waiting("s1", desk.now)
    assert desk.broker.live == 1
    assert desk.ended("run-1") == []


def test_what_has_ended_leaves_no_timer_behind() -> None:
    desk = Desk()
    for k in range(500):
        desk.guess(k)
        desk.ended(f"run-{2 * k + 1}")
        desk.call(f"c{k}", k)
        desk.call(f"d{k}", k)
        desk.ended(f"run-{2 * k + 2}")
    assert len(desk.deadlines) < 200
    assert desk.deadlines.next() is None


def test_a_guess_that_waits_for_a_worker_when_its_call_is_sealed_outlives_the_turn() -> None:
    desk = Desk()
    desk.prompt = False
    desk.guess(1)
    desk.guess(1, sealed=True)
    desk.guess(2)
    desk.broker.discard_waiting("s1", desk.now)
    assert desk.decisions() == ["cancel run-2"]
    desk.broker.began("run-1", desk.now)
    assert desk.broker.ledger.started == {"decided": 1}
