"""The heap of moments."""

from typing import Any

from paste_proxy.deadlines import Deadlines


def test_due_actions_run_in_order_of_time_and_then_of_arrival() -> None:
    deadlines = Deadlines()
    ran: list[Any] = []
    for when, name in [(3.0, "late"), (1.0, "a"), (1.0, "b")]:
        deadlines.at(when, lambda now, name=name: ran.append((name, now)))  # type: ignore[misc]
    deadlines.run_due(2.0)
    assert ran == [("a", 2.0), ("b", 2.0)]
    assert deadlines.next() == 3.0
    deadlines.run_due(3.0)
    assert deadlines.next() is None


def test_an_action_may_set_the_next_one_for_the_same_moment() -> None:
    deadlines = Deadlines()
    ran: list[Any] = []
    deadlines.at(1.0, lambda now: ran.append(deadlines.at(1.0, ran.append)))
    deadlines.run_due(1.0)
    assert ran[1:] == [1.0]


def test_what_is_cancelled_never_runs_and_is_swept_out() -> None:
    deadlines = Deadlines()
    ran: list[Any] = []
    timers = [deadlines.at(float(number), ran.append) for number in range(1000)]
    for timer in timers[:-1]:
        deadlines.cancel(timer)
        deadlines.cancel(timer)
    assert len(deadlines) < 200
    assert deadlines.next() == 999.0
    deadlines.run_due(2000.0)
    assert ran == [2000.0]
    deadlines.cancel(timers[-1])
    deadlines.cancel(None)
    assert deadlines.next() is None
