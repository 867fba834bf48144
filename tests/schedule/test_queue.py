"""The joint queue: order, slots, reserve, pre-emption; and that it never idles beside work."""

from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.schedule.asked import Asked
from paste_proxy.schedule.queue import Capacity, JointQueue, turn_lane
from paste_proxy.tools.ports import RunClass

AUTHORITATIVE, DECIDED, SPECULATIVE = RunClass
TURNS = turn_lane("")


def queue(turns: int = 0, runs: int = 4, reserve: int = 1, speculative: int = 2, **per_tool: int) -> JointQueue:
    return JointQueue(
        Capacity(lambda _: turns, runs, reserve, speculative, lambda lane: per_tool.get(lane, runs))
    )


def started(queue: JointQueue) -> list[str]:
    return [item.id for item in queue.startable()]


def test_turns_are_not_held_without_a_limit() -> None:
    q = queue()
    for number in range(5):
        q.ask(Asked(f"turn{number}"), TURNS)
    assert started(q) == [f"turn{number}" for number in range(5)]


def test_turns_wait_for_a_slot_first_come_first_served() -> None:
    q = queue(turns=1)
    for name in "abc":
        q.ask(Asked(name), TURNS)
    assert started(q) == ["a"]
    q.remove("b")
    q.release("a")
    assert started(q) == ["c"]


def test_classes_go_first_and_arrival_orders_each_class() -> None:
    q = queue(runs=9, t=9, reserve=0, speculative=9)
    for name, run_class in [("s1", SPECULATIVE), ("d1", DECIDED), ("a1", AUTHORITATIVE), ("s2", SPECULATIVE)]:
        q.add(name, "t", run_class)
    assert started(q) == ["a1", "d1", "s1", "s2"]


def test_speculation_leaves_the_reserve_free() -> None:
    q = queue(runs=3, reserve=1, speculative=9)
    for number in range(3):
        q.add(f"s{number}", f"tool{number}", SPECULATIVE)
    assert started(q) == ["s0", "s1"]
    q.add("a", "tool2", AUTHORITATIVE)
    assert started(q) == ["a"]


def test_speculation_leaves_one_slot_of_each_tool_free_where_it_has_several() -> None:
    q = queue(runs=9, reserve=0, speculative=9, two=2, one=1)
    for name, tool in [("s1", "two"), ("s2", "two"), ("s3", "one")]:
        q.add(name, tool, SPECULATIVE)
    assert started(q) == ["s1", "s3"]


def test_speculation_stays_within_its_own_slots() -> None:
    q = queue(runs=9, reserve=0, speculative=1)
    q.add("s1", "x", SPECULATIVE)
    q.add("d1", "y", DECIDED)
    assert started(q) == ["d1"]
    q.release("d1")
    assert started(q) == ["s1"]


def test_a_promoted_run_counts_as_authoritative() -> None:
    q = queue(runs=9, reserve=0, speculative=1)
    q.add("s1", "x", SPECULATIVE)
    q.add("s2", "y", SPECULATIVE)
    assert started(q) == ["s1"]
    q.promote("s1")
    assert started(q) == ["s2"]


def test_an_authoritative_run_without_a_slot_is_starved_until_one_is_released() -> None:
    q = queue(runs=9, reserve=0, speculative=9, one=1)
    q.add("s", "one", SPECULATIVE)
    q.startable()
    q.add("a", "one", AUTHORITATIVE)
    assert started(q) == []
    assert [item.id for item in q.starved()] == ["a"]
    assert q.lane_is_full("one")
    q.release("s")
    assert started(q) == ["a"]
    assert q.starved() == []


def test_waiting_counts_tool_runs_by_class() -> None:
    q = queue(turns=1, one=1)
    for name in ("t1", "t2"):
        q.ask(Asked(name), TURNS)
    for name in ("a1", "a2", "a3"):
        q.add(name, "one", AUTHORITATIVE)
    q.startable()
    assert q.waiting(AUTHORITATIVE) == 2
    q.remove("a2")
    assert q.waiting(AUTHORITATIVE) == 1


steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "release", "remove", "promote"]), st.integers(0, 5), st.sampled_from(RunClass)
    ),
    max_size=60,
)


PER_TOOL = {"t0": 1, "t1": 2, "t2": 3}


@given(steps)
def test_limits_hold_and_no_authoritative_run_waits_beside_a_free_slot(
    history: list[tuple[str, int, RunClass]],
) -> None:
    limits = Capacity(lambda _: 2, 4, 1, 2, PER_TOOL.__getitem__)
    q = JointQueue(limits)
    waiting: dict[str, tuple[str, RunClass]] = {}
    running: dict[str, tuple[str, RunClass]] = {}
    for number, (what, pick, run_class) in enumerate(history):
        if what == "add":
            lane = TURNS if pick == 5 else f"t{pick % 3}"
            run_class = AUTHORITATIVE if lane == TURNS else run_class
            if lane == TURNS:
                q.ask(Asked(str(number)), lane)
            else:
                q.add(str(number), lane, run_class)
            waiting[str(number)] = (lane, run_class)
        elif what == "remove" and waiting:
            gone = sorted(waiting)[pick % len(waiting)]
            q.remove(gone)
            del waiting[gone]
        elif what in ("release", "promote") and running:
            chosen = sorted(running)[pick % len(running)]
            if what == "release":
                q.release(chosen)
                del running[chosen]
            elif running[chosen][0] != TURNS:
                q.promote(chosen)
                running[chosen] = (running[chosen][0], AUTHORITATIVE)
        moved = q.moved
        for item in q.startable():
            assert moved, "nothing new may start until something moves"
            running[item.id] = waiting.pop(item.id)
        assert not q.moved
        _check(limits, waiting, running)


def _check(
    limits: Capacity, waiting: dict[str, tuple[str, RunClass]], running: dict[str, tuple[str, RunClass]]
) -> None:
    runs = [lane for lane, _ in running.values() if lane != TURNS]
    turns = len(running) - len(runs)
    assert turns <= limits.turns(TURNS)
    assert len(runs) <= limits.runs
    for lane, limit in PER_TOOL.items():
        assert runs.count(lane) <= limit
    for lane, run_class in waiting.values():
        if run_class is AUTHORITATIVE and lane != TURNS:
            assert len(runs) >= limits.runs or runs.count(lane) >= PER_TOOL[lane]
        if lane == TURNS:
            assert turns >= limits.turns(TURNS)
