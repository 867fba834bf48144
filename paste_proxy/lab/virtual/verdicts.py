"""What must hold of the joint scheduler, and whether it does: judged from the rows of its runs.

Each check is one promise. What chance alone does, A' against A, is granted where a difference is judged.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from paste_proxy.lab.virtual.capacity import capacities
from paste_proxy.lab.virtual.driver import Arrivals
from paste_proxy.lab.virtual.experiment import CellName
from paste_proxy.lab.virtual.rows import QUANTILES, Row
from paste_proxy.lab.virtual.tenants import ONE, Tenant

GAIN = 0.85
"""F over E* where engines are saturated: what the paper's authors gain over their own tuned baseline."""
CAPACITY = 1.2
"""Tasks an hour that are not slow, against those of E*."""
CLOSE, AHEAD = 1.02, 0.95
"""No rival is faster by more than 2 %, and each is slower by 5 % somewhere."""
WORSE = 1.01
"""Of a quantile: what may be lost to the same cell without."""
CHAT = 1.1
"""Of the time to the first token of plain chat, against A."""
WAIT = 1.5
"""Of the longest wait of a task, against A."""
NOT_HELD = 0.8
"""Of the most that A does an hour: below it nothing is held."""
FAIR = 0.9
"""Of what would be fair to a tenant."""


class Setting(msgspec.Struct, frozen=True):
    """Under which a group of cells was run."""

    arrivals: Arrivals
    kv: float
    load: int

    def __str__(self) -> str:
        return f"{self.arrivals}, KV x {self.kv:g}, load {self.load}"


class Verdict(msgspec.Struct, frozen=True):
    what: str
    where: str
    value: float
    limit: float
    at_least: bool = False
    """The value has to reach the limit; else it must not exceed it."""

    @property
    def holds(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


Rows: TypeAlias = Mapping[Setting, Sequence[Row]]


class Check(msgspec.Struct, frozen=True):
    """What is run for a promise, and how it is judged. The policy that is judged is that of the first E."""

    what: str
    cells: tuple[CellName, ...]
    loads: tuple[int, ...]
    judge: Callable[[Rows], Iterator[Verdict]]
    arrivals: tuple[Arrivals, ...] = ("cohort", "poisson")
    kvs: tuple[float, ...] = (1.0,)
    chat_per_s: float = 0.0
    tenants: tuple[Tenant, ...] = ONE
    others: bool = False
    """E is run with every other policy, too."""


def _of(rows: Sequence[Row], cell: CellName) -> Row:
    """The first of that cell: the policy that is judged."""
    return next(row for row in rows if row.cell == cell)


def _ratio(rows: Sequence[Row], cell: CellName, against: CellName) -> float:
    return round(_of(rows, cell).mean_task_s / _of(rows, against).mean_task_s, 4)


def _saturated(rows: Rows) -> Iterator[Verdict]:
    for setting, group in rows.items():
        yield Verdict("mean task time F / E*", str(setting), _ratio(group, "F", "E*"), GAIN)


def _idle(rows: Rows) -> Iterator[Verdict]:
    for setting, group in rows.items():
        noise = abs(_ratio(group, "A'", "A") - 1)
        limit = round(WORSE + noise, 4)
        yield Verdict("mean task time E / A", str(setting), _ratio(group, "E", "A"), limit)
        yield Verdict("mean task time F / B", str(setting), _ratio(group, "F", "B"), limit)


def _capacity(rows: Rows) -> Iterator[Verdict]:
    for arrivals in dict.fromkeys(setting.arrivals for setting in rows):
        same = [row for setting, group in rows.items() if setting.arrivals == arrivals for row in group]
        per_h = {(one.kv, one.cell): one.tasks_per_h for one in capacities(same)}
        for kv in dict.fromkeys(kv for kv, _ in per_h):
            where = f"{arrivals}, KV x {kv:g}"
            gain = per_h[kv, "F"] / per_h[kv, "E*"] if per_h[kv, "E*"] else float("inf")
            yield Verdict(
                "tasks/h with p95 <= 2 x alone, F / E*", where, round(gain, 4), CAPACITY, at_least=True
            )


def _rivals(rows: Rows) -> Iterator[Verdict]:
    """Every row that is not the E which is judged."""
    against: dict[str, list[tuple[float, Setting]]] = {}
    for setting, group in rows.items():
        ours = _of(group, "E")
        for row in group:
            if row is not ours:
                name = f"{row.cell} ({row.policy})"
                against.setdefault(name, []).append((round(ours.mean_task_s / row.mean_task_s, 4), setting))
    for name, ratios in against.items():
        worst, best = max(ratios, key=lambda one: one[0]), min(ratios, key=lambda one: one[0])
        yield Verdict(f"E / {name}, at worst", str(worst[1]), worst[0], CLOSE)
        yield Verdict(f"E / {name}, at best", str(best[1]), best[0], AHEAD)


def _never_worse(rows: Rows) -> Iterator[Verdict]:
    pairs: tuple[tuple[CellName, CellName], ...] = (("E", "A"), ("F", "A"), ("X", "A"), ("XF", "E"))
    for setting, group in rows.items():
        noise = _of(group, "A'").quantile_ratios or {}
        for cell, against in pairs:
            for name in QUANTILES:
                key = f"{name}_task_s"
                ratio = round(getattr(_of(group, cell), key) / getattr(_of(group, against), key), 4)
                limit = round(WORSE + abs(noise[name] - 1), 4)
                yield Verdict(f"{name} of {cell} / {against}", str(setting), ratio, limit)
        yield from _deciles(setting, group)
        yield from _waits(setting, group)
    yield from _held(rows)


def _deciles(setting: Setting, group: Sequence[Row]) -> Iterator[Verdict]:
    """One line for the whole distribution: who is quick has to stay so, too."""
    noise = _of(group, "A'").decile_ratios or ()
    cells: tuple[CellName, ...] = ("F", "XF")
    for row in (_of(group, cell) for cell in cells):
        pairs = zip(row.decile_ratios or (), noise, strict=True)
        worst = round(max(ratio - abs(chance - 1) for ratio, chance in pairs), 4)
        yield Verdict(f"worst decile of {row.cell} / A, noise taken off", str(setting), worst, WORSE)


def _waits(setting: Setting, group: Sequence[Row]) -> Iterator[Verdict]:
    native = _of(group, "A")
    cells: tuple[CellName, ...] = ("E", "F")
    for row in (_of(group, cell) for cell in cells):
        if row.ttft_chat_p99_s is not None and native.ttft_chat_p99_s:
            chat = round(row.ttft_chat_p99_s / native.ttft_chat_p99_s, 4)
            yield Verdict(f"chat's p99 to the first token, {row.cell} / A", str(setting), chat, CHAT)
        if row.longest_wait_ratio is not None:
            wait = row.longest_wait_ratio
            yield Verdict(f"longest wait of a task, {row.cell} / A", str(setting), wait, WAIT)


def _held(rows: Rows) -> Iterator[Verdict]:
    """At the loads up to that at which A does most, while it does less than four fifths of that."""
    for arrivals, kv in dict.fromkeys((setting.arrivals, setting.kv) for setting in rows):
        same = {one: rows[one] for one in rows if (one.arrivals, one.kv) == (arrivals, kv)}
        done = {setting: _of(group, "A").throughput_per_h for setting, group in same.items()}
        most = max(done, key=lambda setting: done[setting])
        for setting, group in same.items():
            if setting.load < most.load and done[setting] < NOT_HELD * done[most]:
                held = max(row.held_turns for row in group if row.cell in ("E", "F", "XF"))
                yield Verdict("turns held below 80 % of A's capacity", str(setting), held, 0)


def _fair(rows: Rows) -> Iterator[Verdict]:
    """In a closed loop: where all that arrive are waited for, everyone gets what it asked for in the end."""
    for setting, group in rows.items():
        for cell in ("E", "F"):
            for name, tenant in (_of(group, cell).tenants or {}).items():
                what = f"{name}'s tasks/h of its fair share, {cell}"
                yield Verdict(what, str(setting), tenant.of_fair, FAIR, at_least=True)


CHECKS: Mapping[str, Check] = {
    "saturation": Check("beyond what engines can do F beats E*", ("A", "E*", "F"), (64,), _saturated),
    "idle": Check("where nothing is short nothing is lost", ("A", "A'", "B", "E", "F"), (1, 8), _idle),
    "capacity": Check(
        "more tasks an hour before they get slow", ("A", "E*", "F"), (1, 8, 16, 20, 24, 28, 32, 40), _capacity
    ),
    "rivals": Check(
        "no other order is better anywhere, and each is worse somewhere",
        ("E", "A", "lpm", "hrrn", "spf", "T"),
        (16, 32, 64),
        _rivals,
        kvs=(0.5, 1.0, 2.0, 4.0),
        others=True,
    ),
    "worse": Check(
        "nobody is worse off, whatever is predicted",
        ("A", "A'", "E", "F", "X", "XF"),
        (1, 8, 16, 32, 64),
        _never_worse,
        chat_per_s=0.5,
    ),
    "fair": Check(
        "each tenant gets its share",
        ("A", "E", "F"),
        (64,),
        _fair,
        arrivals=("closed",),
        tenants=(Tenant("heavy", 8), Tenant("light")),
    ),
}
