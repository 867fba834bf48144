"""Which candidates get a slot: of all sessions' the worthiest, and none too late."""

import math

from paste_proxy.predict.model import Call, Prediction
from paste_proxy.schedule.queue import Capacity, JointQueue
from paste_proxy.tools.ports import RunClass, RunContext
from tests.broker.desk import READ, S1, Desk


def offered(desk: Desk, k: int, worth: float, *, session: str = "s1", start_by: float = math.inf) -> Prediction:
    prediction = Prediction(desk.now, "read", {"k": k}, 0, 0.5, 0.5, worth, "because", start_by)
    context = RunContext("tenant", session)
    call = Call("read", {"k": k})
    desk.broker.offer(context, call, RunClass.SPECULATIVE, desk.now, prediction)
    return prediction


def full() -> Desk:
    """Both slots for runs ahead are taken."""
    desk = Desk(speculative=2)
    for k in (91, 92):
        desk.guess(k)
    return desk


def test_of_all_sessions_the_worthiest_goes_first() -> None:
    desk = full()
    offered(desk, 1, 0.5)
    offered(desk, 2, 2.0, session="s2")
    assert desk.decisions() == []
    assert desk.ended("run-1") == ["start run-4 read speculative"]


def test_as_many_wait_as_may_run_and_the_least_worth_goes() -> None:
    desk = full()
    first, second, third, fourth = (offered(desk, k, worth) for k, worth in enumerate((0.5, 2.0, 1.0, 0.1)))
    assert [one.outcome for one in (first, second, third, fourth)] == ["cancelled", "queued", "queued", ""]


def test_without_slots_nothing_waits() -> None:
    desk = Desk(speculative=0)
    assert offered(desk, 1, 9.0).outcome == ""


def test_what_would_start_too_late_does_not_start() -> None:
    desk = full()
    prediction = offered(desk, 1, 2.0, start_by=5.0)
    desk.at(5.0)
    assert prediction.outcome == "cancelled"
    assert desk.ended("run-1") == []


def test_a_sealed_call_has_no_deadline_for_its_start() -> None:
    desk = full()
    prediction = offered(desk, 1, 2.0, start_by=5.0)
    desk.guess(1, sealed=True)
    desk.at(6.0)
    assert prediction.outcome == "queued"


def test_the_outcome_follows_the_run() -> None:
    desk = Desk()
    prediction = offered(desk, 1, 2.0)
    assert prediction.outcome == "queued"
    desk.decisions()
    assert prediction.outcome == "running"
    desk.ended("run-1")
    assert prediction.outcome == "ready"
    desk.call("call", 1, S1)
    assert prediction.outcome == "reused"


def test_a_slot_is_taken_from_the_run_that_is_worth_least() -> None:
    desk = Desk(slots=2, speculative=2)
    offered(desk, 1, 2.0)
    offered(desk, 2, 1.0)
    desk.decisions()
    assert desk.call("call", 3)[0] == "cancel run-2"


def test_pressure_is_what_authoritative_work_has_and_waits_for() -> None:
    queue = JointQueue(Capacity(lambda _: 0, 4, 0, 4, {READ.name: 2, "other": 4}.__getitem__))
    assert queue.pressure("read") == 0.0
    queue.add("ahead", "read", RunClass.SPECULATIVE)
    queue.startable()
    assert queue.pressure("read") == 0.0
    queue.add("asked", "read", RunClass.AUTHORITATIVE)
    queue.startable()
    assert (queue.pressure("read"), queue.pressure("other")) == (0.5, 0.25)
    queue.promote("ahead")
    assert (queue.pressure("read"), queue.pressure("other")) == (1.0, 0.5)
    for number in range(3):
        queue.add(f"waits {number}", "read", RunClass.AUTHORITATIVE)
    assert queue.pressure("other") == 1.25
    queue.release("ahead")
    assert queue.pressure("other") == 1.0
