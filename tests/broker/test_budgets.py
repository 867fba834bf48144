"""How much may run ahead: at once, a minute, for money."""

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.broker.budgets import KEPT, Budgets
from paste_proxy.config import BudgetConfig
from paste_proxy.tools.ports import RunContext
from tests.broker.desk import READ, S1, S2

PAID = msgspec.structs.replace(READ, name="paid", price=0.25)


def test_without_limits_everything_is_admitted_and_nothing_kept() -> None:
    budgets = Budgets({"overall": BudgetConfig(), "session": BudgetConfig()})
    for number in range(99):
        budgets.begin(f"r{number}", READ, S1, 0.0)
    assert budgets.admits(READ, S1, 0.0)
    assert not budgets._under_way


def test_as_many_run_at_once_as_the_session_may_have() -> None:
    budgets = Budgets({"session": BudgetConfig(concurrent=1)})
    budgets.begin("r1", READ, S1, 0.0)
    assert not budgets.admits(READ, S1, 0.0)
    assert budgets.admits(READ, S2, 0.0)
    budgets.end("r1", started=True)
    assert budgets.admits(READ, S1, 0.0)


def test_runs_of_a_minute_come_back_evenly() -> None:
    budgets = Budgets({"tool": BudgetConfig(per_minute=2)})
    for number in range(2):
        budgets.begin(f"r{number}", READ, S1, 0.0)
    assert not budgets.admits(READ, S2, 29.0)
    assert budgets.admits(READ, S2, 30.0)


def test_what_never_started_has_cost_nothing() -> None:
    budgets = Budgets({"overall": BudgetConfig(per_minute=1, price_per_hour=0.25)})
    budgets.begin("r1", PAID, S1, 0.0)
    budgets.end("r1", started=False)
    assert budgets.admits(PAID, S1, 0.0)
    budgets.begin("r2", PAID, S1, 0.0)
    budgets.end("r2", started=True)
    assert not budgets.admits(PAID, S1, 60.0)
    assert budgets.admits(READ, S1, 60.0)
    assert budgets.admits(PAID, S1, 3600.0)


def test_a_run_ends_once() -> None:
    budgets = Budgets({"overall": BudgetConfig(concurrent=1)})
    budgets.begin("r1", READ, S1, 0.0)
    budgets.end("r1", started=True)
    budgets.end("r1", started=True)
    budgets.begin("r2", READ, S1, 0.0)
    assert not budgets.admits(READ, S1, 0.0)


def test_accounts_are_bounded() -> None:
    budgets = Budgets({"session": BudgetConfig(per_minute=1)})
    for number in range(KEPT + 9):
        budgets.begin(f"r{number}", READ, RunContext("t", f"s{number}"), 0.0)
        budgets.end(f"r{number}", started=True)
    assert len(budgets._accounts) == KEPT


steps = st.lists(
    st.tuples(st.sampled_from(["begin", "end", "wait"]), st.integers(0, 2), st.floats(0, 30)), max_size=80
)


@given(steps)
def test_no_minute_has_more_than_its_budget_and_no_moment_either(history: list[tuple[str, int, float]]) -> None:
    budgets = Budgets({"session": BudgetConfig(concurrent=3, per_minute=6)})
    now, number = 0.0, 0
    running: dict[str, str] = {}
    begun: list[tuple[float, str]] = []
    for what, pick, seconds in history:
        session = f"s{pick}"
        if what == "wait":
            now += seconds
        elif what == "end" and running:
            run = sorted(running)[pick % len(running)]
            budgets.end(run, started=True)
            del running[run]
        elif what == "begin" and budgets.admits(READ, RunContext("t", session), now):
            number += 1
            budgets.begin(f"r{number:03}", READ, RunContext("t", session), now)
            running[f"r{number:03}"] = session
            begun.append((now, session))
        assert max(Counter(running.values()).values(), default=0) <= 3
        recent = Counter(session for at, session in begun if at > now - 60)
        assert max(recent.values(), default=0) <= 12, "a minute's budget saved up, and a minute's that came"
