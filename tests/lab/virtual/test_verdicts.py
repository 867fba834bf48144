"""What must hold of the scheduler, judged from rows that are made up."""

from typing import Any

import msgspec

from paste_proxy.lab.virtual.experiment import CellName
from paste_proxy.lab.virtual.rows import QUANTILES, Row, TenantRow
from paste_proxy.lab.virtual.verdicts import CHECKS, Rows, Setting, Verdict
from tests.lab.virtual.test_rows import NATIVE, rows

HERE = Setting("cohort", 1.0, 64)
WORST_OF_F = "worst decile of F / A, noise taken off"


def row(cell: CellName, mean_s: float = 100.0, load: int = 64, **changes: Any) -> Row:
    """All its times are `mean_s`."""
    times = {f"{name}_task_s": mean_s for name in QUANTILES}
    ratio = mean_s / 100
    ratios = {"quantile_ratios": dict.fromkeys(QUANTILES, ratio), "decile_ratios": (ratio,) * 9}
    made = {"cell": cell, "load": load, "mean_task_s": mean_s, "longest_wait_ratio": 1.0, "held_turns": 0}
    return msgspec.structs.replace(rows(NATIVE)["A"], **(made | times | ratios | changes))


def judged(name: str, found: Rows) -> dict[str, Verdict]:
    return {verdict.what: verdict for verdict in CHECKS[name].judge(found)}


def failing(name: str, found: Rows) -> list[str]:
    return [what for what, verdict in judged(name, found).items() if not verdict.holds]


def test_at_saturation_both_together_beat_the_tuned_one() -> None:
    assert failing("saturation", {HERE: [row("A", 200.0), row("E*"), row("F", 85.0)]}) == []
    assert failing("saturation", {HERE: [row("A", 200.0), row("E*"), row("F", 86.0)]}) == [
        "mean task time F / E*"
    ]


def test_at_low_load_as_much_may_be_lost_as_another_order_loses() -> None:
    quick = [row("A"), row("A'", 97.0), row("B", 90.0)]
    assert failing("idle", {HERE: [*quick, row("E", 104.0), row("F", 93.5)]}) == []
    assert failing("idle", {HERE: [*quick, row("E", 104.1), row("F", 93.7)]}) == [
        "mean task time E / A",
        "mean task time F / B",
    ]


def test_capacity_is_judged_over_all_loads() -> None:
    found: dict[Setting, list[Row]] = {}
    for load, slow_s, quick_s in ((1, 10.0, 10.0), (8, 30.0, 15.0)):
        group = [row(cell, slow_s, load, throughput_per_h=10.0 * load) for cell in ("A", "E*")]
        found[Setting("poisson", 1.0, load)] = [
            *group,
            row("F", quick_s, load, throughput_per_h=10.0 * load),
        ]
    [verdict] = CHECKS["capacity"].judge(found)
    assert (verdict.value, verdict.holds) == (1.7778, True)  # E* is slow half way


def test_a_rival_may_be_no_better_anywhere_and_has_to_be_worse_somewhere() -> None:
    other = Setting("cohort", 2.0, 64)
    found = {
        HERE: [row("E", policy="joint"), row("A", 106.0), row("T", 99.0), row("E", 98.1, policy="plas")],
        other: [row("E", policy="joint"), row("A", 100.0), row("T", 106.0), row("E", 105.4, policy="plas")],
    }
    assert failing("rivals", found) == []
    found[HERE][2] = row("T", 97.0)
    found[HERE][1] = row("A", 104.0)
    assert failing("rivals", found) == ["E / A (fcfs), at best", "E / T (fcfs), at worst"]


def same(load: int, per_h: float, **changes: Row) -> list[Row]:
    cells = {cell: row(cell, load=load, throughput_per_h=per_h) for cell in CHECKS["worse"].cells}
    return list((cells | changes).values())


def test_no_quantile_is_worse_by_more_than_chance_makes_it() -> None:
    assert failing("worse", {HERE: same(64, 100.0)}) == []
    worse = {HERE: same(64, 100.0, F=row("F", 101.5))}
    each = [f"{name} of F / A" for name in QUANTILES]
    assert failing("worse", worse) == [*each, WORST_OF_F]
    noisy = {HERE: same(64, 100.0, F=row("F", 101.5), **{"A'": row("A'", 99.4)})}
    assert failing("worse", noisy) == []


def test_one_slow_decile_is_told_whatever_the_others_are() -> None:
    quick = row("F", 80.0, decile_ratios=(1.05, *(0.8,) * 8))
    found = {HERE: same(64, 100.0, F=quick, **{"A'": row("A'", decile_ratios=(0.97, *(1.3,) * 8))})}
    verdict = judged("worse", found)[WORST_OF_F]
    assert (verdict.value, verdict.holds) == (1.02, False)
    assert failing("worse", found) == [WORST_OF_F]


def test_chat_and_the_longest_wait_are_held_to_those_of_the_native_cell() -> None:
    native, ours = row("A", ttft_chat_p99_s=1.0), row("F", ttft_chat_p99_s=1.11, longest_wait_ratio=1.6)
    assert failing("worse", {HERE: same(64, 100.0, A=native, F=ours)}) == [
        "chat's p99 to the first token, F / A",
        "longest wait of a task, F / A",
    ]


def test_below_four_fifths_of_what_is_possible_nothing_may_be_held() -> None:
    holds = {cell: row(cell, load=8, throughput_per_h=70.0, held_turns=3) for cell in ("E",)}
    low, high = Setting("cohort", 1.0, 8), Setting("cohort", 1.0, 16)
    found = {low: same(8, 70.0, **holds), high: same(16, 100.0), HERE: same(64, 60.0, E=row("E", held_turns=9))}
    what = "turns held below 80 % of A's capacity"
    assert failing("worse", found) == [what]
    assert judged("worse", found)[what].where == str(low)
    found[low] = same(8, 85.0, **holds)
    assert failing("worse", found) == []


def test_each_tenant_has_its_share_within_a_tenth() -> None:
    def tenant(of_fair: float) -> TenantRow:
        return TenantRow(8, 100.0, 100.0, 10.0, 10.0, of_fair, 0.5)

    def cell(name: CellName, heavy: float, light: float) -> Row:
        return row(name, tenants={"heavy": tenant(heavy), "light": tenant(light)})

    found = {HERE: [cell("A", 1.5, 0.3), cell("E", 1.1, 0.9), cell("F", 1.2, 0.8)]}
    assert failing("fair", found) == ["light's tasks/h of its fair share, F"]
