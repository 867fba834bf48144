"""Tool runs that wait: those that leave leave nothing behind, and tools that are full are not looked at."""

from paste_proxy.schedule.line import SWEEP_FROM
from paste_proxy.schedule.runs import RunQueue, RunSlots
from paste_proxy.tools.ports import RunClass

AUTHORITATIVE, DECIDED, SPECULATIVE = RunClass


def queue(runs: int = 1, **per_tool: int) -> RunQueue:
    return RunQueue(RunSlots(runs, 0, runs, lambda tool: per_tool.get(tool, runs)))


def started(queue: RunQueue) -> list[str]:
    items = []
    while (item := queue.next()) is not None:
        items.append(item.id)
    return items


def test_runs_that_left_do_not_pile_up_behind_one_that_stays() -> None:
    """Candidates that the model does not ask for are taken back all the time."""
    q = queue()
    q.add("busy", "tool", AUTHORITATIVE, 0.0)
    assert started(q) == ["busy"]
    q.add("first", "tool", AUTHORITATIVE, 0.0)
    for number in range(10_000):
        q.add(f"{number}", "tool", SPECULATIVE, 1.0)
        q.remove(f"{number}")
    assert len(q._lanes["tool"]._sorted) <= SWEEP_FROM
    q.release("busy")
    assert started(q) == ["first"]


def test_nor_do_heads_that_were_passed_by_worthier_ones() -> None:
    q = queue()
    q.add("busy", "tool", AUTHORITATIVE, 0.0)
    assert started(q) == ["busy"]
    for number in range(10_000):
        q.add(f"{number}", "tool", SPECULATIVE, float(number))
        if number:
            q.remove(f"{number - 1}")
    assert len(q._heads._sorted) <= SWEEP_FROM
    q.release("busy")
    assert started(q) == ["9999"]


def test_a_tool_of_which_nothing_waits_is_forgotten() -> None:
    q = queue(runs=9, tool=1)
    q.add("run", "tool", AUTHORITATIVE, 0.0)
    q.add("gone", "other", DECIDED, 0.0)
    q.remove("gone")
    assert started(q) == ["run"]
    q.add("late", "tool", AUTHORITATIVE, 0.0)
    assert started(q) == []
    q.remove("late")
    q.release("run")
    assert (q._lanes, q._heads.entries, q._called) == ({}, {}, {})


def test_the_first_to_come_goes_first_whichever_tool_it_wants() -> None:
    q = queue(runs=9)
    for name, tool in [("a", "one"), ("b", "two"), ("c", "one"), ("d", "two")]:
        q.add(name, tool, AUTHORITATIVE, 0.0)
    assert started(q) == ["a", "b", "c", "d"]


def test_a_tool_without_a_slot_holds_up_no_other_and_goes_on_when_it_has_one() -> None:
    q = queue(runs=3, narrow=1)
    for name in ("a", "b"):
        q.add(name, "narrow", AUTHORITATIVE, 0.0)
    q.add("c", "wide", AUTHORITATIVE, 0.0)
    assert started(q) == ["a", "c"]
    assert q.lane_is_full("narrow")
    q.release("a")
    assert started(q) == ["b"]


def test_limits_that_were_raised_count_after_another_look() -> None:
    limits = {"tool": 1}
    q = RunQueue(RunSlots(9, 0, 9, limits.__getitem__))
    for name in ("a", "b"):
        q.add(name, "tool", AUTHORITATIVE, 0.0)
    assert started(q) == ["a"]
    limits["tool"] = 2
    q.look_again()
    assert started(q) == ["b"]


def test_pressure_is_the_larger_share_of_slots_that_calls_have_or_wait_for() -> None:
    q = queue(runs=4, narrow=2)
    assert q.pressure("narrow") == 0.0
    q.add("a", "narrow", AUTHORITATIVE, 0.0)
    q.add("s", "wide", SPECULATIVE, 0.0)
    assert started(q) == ["a", "s"]
    assert q.pressure("narrow") == 1 / 2
    assert q.pressure("wide") == 1 / 4
    q.promote("s")
    assert q.pressure("wide") == 2 / 4
