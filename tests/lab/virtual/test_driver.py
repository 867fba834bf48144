"""How tasks arrive."""

import itertools
import statistics
from collections.abc import Callable
from random import Random

import pytest

from paste_proxy.lab.virtual.agent import Agent, TaskTrack
from paste_proxy.lab.virtual.driver import Driver, Gate
from paste_proxy.lab.virtual.site import VirtualSite
from tests.lab.virtual.small import ENGINE, SmallWorkload

ALONE_S = 2.0 + 3.0 + 3.0 + 3.0 + 1.1
"""A small task: a turn, a look, a turn, two looks at once, the last turn."""


class Bench:
    def __init__(self, measured: int, gate: int = 0) -> None:
        workload = SmallWorkload()
        self.site = VirtualSite(workload.world, ENGINE, None)
        self.begun: list[tuple[float, int]] = []
        self.driver = Driver(self.site, self._agent, Gate(gate), range(measured))
        self._workload = workload

    def _agent(self, task: int, over: Callable[[TaskTrack], None]) -> Agent:
        self.begun.append((self.site.time.now, task))
        return Agent(self._workload.script(task), self.site, over)

    def run(self) -> "Bench":
        self.site.time.run(lambda: self.driver.done)
        return self

    @property
    def seconds(self) -> list[float]:
        return [track.seconds for _, track in sorted(self.driver.tracks.items())]

    def running(self, now: float) -> int:
        ended = sum(ended.at <= now for ended in self.driver.ended)
        return sum(begun <= now for begun, _ in self.begun) - ended


def test_a_closed_loop_keeps_its_load_until_the_measured_tasks_are_over() -> None:
    bench = Bench(measured=12)
    bench.driver.closed([itertools.count()] * 3, 5.0, Random(1))
    bench.run()
    end = bench.site.time.now
    assert {bench.running(5.0 + step * (end - 5.1) / 100) for step in range(100)} == {3}
    assert [task for _, task in bench.begun[:12]] == list(range(12))
    assert len(bench.driver.tracks) == 12


def test_a_closed_loop_whose_tasks_end_lets_those_finish_that_are_under_way() -> None:
    bench = Bench(measured=4)
    bench.driver.closed([iter(range(4))] * 3, 5.0, Random(1))
    bench.run()
    assert [task for _, task in bench.begun] == [0, 1, 2, 3]


def test_a_closed_loop_does_not_begin_in_step() -> None:
    bench = Bench(measured=3)
    bench.driver.closed([itertools.count()] * 3, 5.0, Random(1))
    bench.run()
    begun = [at for at, _ in bench.begun[:3]]
    assert len(set(begun)) == 3
    assert max(begun) <= 5.0


def test_independent_arrivals_come_at_their_rate() -> None:
    bench = Bench(measured=200)
    bench.driver.poisson(0.5, itertools.count(), Random(3))
    bench.run()
    gaps = [after - before for (before, _), (after, _) in itertools.pairwise(bench.begun)]
    assert statistics.fmean(gaps) == pytest.approx(2.0, rel=0.15)
    assert statistics.stdev(gaps) == pytest.approx(2.0, rel=0.2)


def test_a_cohort_begins_at_once_and_the_next_when_all_are_over() -> None:
    bench = Bench(measured=5)
    bench.driver.cohorts(2, itertools.count())
    bench.run()
    begun = [at for at, _ in bench.begun]
    assert begun[0] == begun[1] == 0.0
    assert begun[2] == begun[3] == max(ended.at for ended in bench.driver.ended[:2])
    assert len(bench.begun) == 6
    assert sorted(bench.driver.tracks) == [0, 1, 2, 3, 4]


def test_a_gate_lets_in_so_many_and_then_who_came_first() -> None:
    bench = Bench(measured=5, gate=2)
    for task in range(5):
        bench.site.time.at(task / 100, lambda task=task: bench.driver.start(task))  # type: ignore[misc]
    bench.run()
    assert [task for _, task in bench.begun] == [0, 1, 2, 3, 4]
    assert max(bench.running(at) for at, _ in bench.begun) == 2


def test_waiting_at_the_gate_is_part_of_a_task_s_time() -> None:
    bench = Bench(measured=2, gate=1)
    bench.driver.cohorts(2, itertools.count())
    bench.run()
    assert bench.seconds == pytest.approx([ALONE_S, 2 * ALONE_S - 0.08])  # the system prompt is there
    assert bench.driver.tracks[1].queue_s == pytest.approx(bench.seconds[0])


def test_tasks_that_nobody_measures_leave_no_track() -> None:
    bench = Bench(measured=2)
    bench.driver.closed([itertools.chain([7, 0, 8, 1], itertools.count(9))], 0.0, Random(1))
    bench.run()
    assert sorted(bench.driver.tracks) == [0, 1]
    assert len(bench.driver.ended) == 4


def test_places_of_a_closed_loop_may_have_orders_of_their_own() -> None:
    bench = Bench(measured=6)
    evens, odds = itertools.count(0, 2), itertools.count(1, 2)
    bench.driver.closed([evens, evens, odds], 0.0, Random(1))
    bench.run()
    assert sorted(task for at, task in bench.begun if at == 0.0) == [0, 1, 2]
    assert [task for at, task in bench.begun if at and task % 2][:1] == [3]


def test_what_measured_tasks_have_taken_is_known_as_each_of_them_ends() -> None:
    bench = Bench(measured=2)
    bench.driver.cohorts(3, itertools.count())
    assert bench.driver.spent_s == 0
    bench.run()
    assert bench.driver.spent_s == pytest.approx(sum(bench.seconds))
