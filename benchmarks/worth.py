"""Whether runs ahead should be ranked by the engine's memory that their sessions hold, rather than in seconds.

`python -m benchmarks.worth [--load 32] [--kv 1] [--slots 1] [--seed 0] [--tasks 64] [--weigh ...] [--json]`

A run ahead is worth the seconds that it is expected to save, less what is wasted (`predict/value.py`). While
its session waits for a tool it holds its context in the engine's memory; so the seconds that are saved can be
weighed by that context, over the mean of the sessions with a lease:

- `seconds`: they are not, as in the proxy.
- `thrash`: they are while prompts get lost: from 10 % of a window on until it is less than 3 %.
- `always`: they are, whether memory is short or not.
- `inverse`: those that hold least count most, to see how much the order can do at all.

`--slots` has each tool so many times its slots: where all that is worth a start gets one, no order matters.
Cell F of the lab; about half a minute for each on one core.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from benchmarks.lab_known import lines
from paste_proxy.core import Core
from paste_proxy.lab.engine.presets import load_engine
from paste_proxy.lab.virtual.experiment import Cell, Plan, rehearsed
from paste_proxy.lab.virtual.research import Research
from paste_proxy.lab.virtual.rows import rows_of
from paste_proxy.predict.model import Call, Candidate, FinishedCall, ForesightedTurn, History
from paste_proxy.predict.predictor import PatternPredictor
from paste_proxy.predict.value import OVERHEAD_S, Left, ValueModel
from paste_proxy.schedule.thrash import LOW

Weigh: TypeAlias = Literal["seconds", "thrash", "always", "inverse"]
WAYS: tuple[Weigh, ...] = get_args(Weigh)
HIGH = 0.10
"""Of a window's prompts, from which on `thrash` weighs: what the scheduler took for thrash when the published
rows were measured. It has another threshold now, and these are to be had again."""
LEAST = 0.05
"""Of the mean: what a context counts for at least where its inverse is taken."""


class Holding:
    """What the session that is decided for holds, over the mean of those with a lease."""

    def __init__(self, weigh: Weigh) -> None:
        self.core: Core | None = None
        """Of the cell, once that is built."""
        self.session = ""
        """The one that is decided for."""
        self.decisions = 0
        self.weighed = 0
        """Decisions for which it was asked, and those in which it counted."""
        self._weigh = weigh
        self._thrashes = False

    def weight(self) -> float:
        self.decisions += 1
        held = self._held()
        if held is None or not self._counts():
            return 1.0
        self.weighed += 1
        return 1 / max(LEAST, held) if self._weigh == "inverse" else held

    def _held(self) -> float | None:
        """None where it is not known: before its first reply, say."""
        assert self.core is not None
        facts, prefix = self.core.pacing.facts_of(""), self.core.pacing.prefix(self.session, "")
        self._thrashes = facts.thrash > HIGH or (self._thrashes and facts.thrash >= LOW)
        if prefix is None or not prefix.tokens or not facts.leased_tokens:
            return None
        return prefix.tokens * facts.leased / facts.leased_tokens

    def _counts(self) -> bool:
        return self._weigh != "seconds" and (self._weigh != "thrash" or self._thrashes)


class Weighed(ValueModel):
    """p x held x E[min(S, L)] - (1 - p) x price x E[S] - overhead."""

    def __init__(self, held: Callable[[], float]) -> None:
        super().__init__()
        self._held = held

    def worth(self, tool: str, probability: float, left: Left, price: float) -> float:
        saved_s = super().worth(tool, 1.0, left, 0.0) + OVERHEAD_S
        more_s = (self._held() - 1) * min(max(probability, 0.0), 1.0) * saved_s
        return super().worth(tool, probability, left, price) + more_s


class TurnOf:
    """A turn's predictor that says whose candidates it gives: what they are worth is asked next."""

    def __init__(self, turn: ForesightedTurn, session: str, holding: Holding) -> None:
        self._session = session
        self._holding = holding
        self._turn = turn
        self.heard, self.named, self.argued, self.asked = turn.heard, turn.named, turn.argued, turn.asked

    def candidates(self, limit: int) -> list[Candidate]:
        self._holding.session = self._session
        return self._turn.candidates(limit)

    def following(self, results: Sequence[FinishedCall], limit: int) -> list[Candidate]:
        self._holding.session = self._session
        return self._turn.following(results, limit)


class Telling:
    """A predictor whose turns are such."""

    def __init__(self, predictor: PatternPredictor, holding: Holding) -> None:
        self._predictor = predictor
        self._holding = holding

    def learn(self, history: History, calls: Sequence[Call]) -> None:
        self._predictor.learn(history, calls)

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        return self._predictor.predict(history, tools, limit)

    def begin(self, history: History, tools: Iterable[str]) -> TurnOf:
        return TurnOf(self._predictor.begin(history, tools), history.session, self._holding)


def research(slots: float) -> Research:
    """With so many times the slots of each tool."""
    workload = Research()
    workload.world.specs = {
        name: msgspec.structs.replace(spec, concurrency=max(1, round(slots * spec.concurrency)))
        for name, spec in workload.world.specs.items()
    }
    return workload


def measure(plan: Plan, load: int, slots: float, weigh: Weigh) -> dict[str, Any]:
    workload, holding = research(slots), Holding(weigh)
    predictor = Telling(rehearsed(workload, plan.rehearsals or workload.rehearsals), holding)
    cell = Cell(workload, plan, "F", load, policy=plan.policy, predictor=predictor)
    core = holding.core = cell.site.shell.core
    core.broker.values = Weighed(holding.weight)
    [row] = rows_of([cell.run()], plan.seed)
    return {
        "weigh": weigh,
        "mean_task_s": row.mean_task_s,
        "p10_task_s": row.p10_task_s,
        "p50_task_s": row.p50_task_s,
        "p95_task_s": row.p95_task_s,
        "tasks/h": row.throughput_per_h,
        "used": row.hits["reused"] + row.hits["joined"],
        "promoted": row.hits["promoted"],
        "weighed": round(holding.weighed / max(1, holding.decisions), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worth")
    parser.add_argument("--load", type=int, default=32)
    parser.add_argument("--kv", type=float, default=1.0, help="times the engine's memory")
    parser.add_argument("--slots", type=float, default=1.0, help="times each tool's slots")
    parser.add_argument("--tasks", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0, help="of the arrivals")
    parser.add_argument("--weigh", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    plan = Plan(load_engine("research"), options.tasks, seed=options.seed, kv=options.kv)
    rows = [measure(plan, options.load, options.slots, weigh) for weigh in options.weigh]
    if options.json:
        json.dump(rows, sys.stdout, indent=2)
        print()
    else:
        print("\n".join(lines(rows)))


if __name__ == "__main__":
    main()
