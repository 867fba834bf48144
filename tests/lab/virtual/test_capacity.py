"""Tasks an hour before they get slow."""

import msgspec
import pytest

from paste_proxy.lab.virtual.capacity import Capacity, capacities
from paste_proxy.lab.virtual.experiment import CellName
from paste_proxy.lab.virtual.rows import Row
from tests.lab.virtual.test_rows import NATIVE, rows


def row(cell: CellName, load: int, p95_s: float, per_h: float, kv: float = 1.0) -> Row:
    made = rows(NATIVE)["A"]
    return msgspec.structs.replace(made, cell=cell, load=load, kv=kv, p95_task_s=p95_s, throughput_per_h=per_h)


def test_it_lies_between_the_last_load_that_is_quick_and_the_next() -> None:
    found = capacities([row("A", 8, 40.0, 200.0), row("A", 1, 10.0, 30.0), row("A", 4, 15.0, 100.0)])
    assert found == [Capacity("A", 1.0, 20.0, 120.0)]


def test_the_most_counts_even_where_more_load_gives_less() -> None:
    [found] = capacities([row("A", 1, 10.0, 30.0), row("A", 4, 15.0, 100.0), row("A", 8, 30.0, 40.0)])
    assert found.tasks_per_h == 100.0


def test_a_cell_that_is_never_slow_does_at_least_so_much_and_one_that_always_is_nothing() -> None:
    native = [row("A", 1, 10.0, 30.0), row("A", 4, 15.0, 100.0)]
    slow = [row("E", 1, 21.0, 20.0), row("E", 4, 15.0, 100.0)]
    assert capacities([*native, *slow]) == [
        Capacity("A", 1.0, 20.0, 100.0, at_least=True),
        Capacity("E", 1.0, 20.0, 0.0),
    ]


def test_a_higher_load_that_happens_to_be_quick_counts_for_nothing() -> None:
    loads = [row("A", 1, 10.0, 30.0), row("A", 2, 30.0, 60.0), row("A", 4, 15.0, 100.0)]
    [found] = capacities(loads)
    assert found.tasks_per_h == pytest.approx(45.0)


def test_each_memory_is_held_to_its_own_native_cell_at_load_1() -> None:
    large = [row("A", 1, 10.0, 30.0, 2.0), row("A", 4, 15.0, 100.0, 2.0)]
    assert [found.kv for found in capacities([*large, row("A", 4, 15.0, 100.0, 0.5)])] == [2.0]
    assert capacities([row("A", 1, 10.0, 30.0)]) == []
