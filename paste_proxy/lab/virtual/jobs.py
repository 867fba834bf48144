"""Cells of several loads and memories, as many at once as there are processes: each job is a run of its own, so
the runs are the same however many work on them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache

import msgspec

from paste_proxy.lab.garbage import rare_collections
from paste_proxy.lab.virtual.experiment import CellName, LabWorkload, Plan, Run, run_cell
from paste_proxy.lab.virtual.workloads import Choice, load_lab_workload


class Source(msgspec.Struct, frozen=True):
    """Where a workload comes from: each process loads its own."""

    name: str
    choice: Choice

    def load(self) -> LabWorkload:
        """Raises `ConfigError`."""
        return load_lab_workload(self.name, self.choice)


class Job(msgspec.Struct, frozen=True):
    """One cell at one load."""

    plan: Plan
    cell: CellName
    load: int

    def carry_out(self, workload: LabWorkload) -> Run:
        with rare_collections():
            return run_cell(workload, self.plan, self.cell, self.load)


def carried_out(source: Source, jobs: Sequence[Job], at_once: int) -> Iterator[Run]:
    """The jobs' runs, in order, each as soon as it is there and those before it."""
    if min(at_once, len(jobs)) == 1:
        workload = source.load()
        yield from (job.carry_out(workload) for job in jobs)
        return
    with ProcessPoolExecutor(min(at_once, len(jobs))) as pool:
        try:
            begun = {place: pool.submit(_in_a_process, source, jobs[place]) for place in _longest_first(jobs)}
            yield from (begun[place].result() for place in range(len(jobs)))
        finally:
            pool.shutdown(cancel_futures=True)


def _in_a_process(source: Source, job: Job) -> Run:
    return job.carry_out(_loaded(source))


@lru_cache(maxsize=1)
def _loaded(source: Source) -> LabWorkload:
    """Once in a process: recorded sessions take seconds to read."""
    return source.load()


def _longest_first(jobs: Sequence[Job]) -> list[int]:
    """So that no process is left with a long one at the end: E* is a dozen runs."""
    return sorted(range(len(jobs)), key=lambda place: (jobs[place].cell != "E*", -jobs[place].load))
