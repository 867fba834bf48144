"""How much may run ahead: at once, a minute and for money; of one tool, session and tenant, and overall.

Predicted runs are counted, and second looks at hits. A sealed call will be asked for anyway, so its run ahead
costs nothing more; and an authoritative one is not ours to limit here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from paste_proxy.buckets import Bucket
from paste_proxy.config import BudgetConfig
from paste_proxy.tools.ports import RunContext
from paste_proxy.tools.spec import ToolSpec

MINUTE, HOUR = 60.0, 3600.0
KEPT = 4096
"""Tools, sessions and tenants with an account; the longest unused is closed first. Only those with a limit have
one, and one that is closed has had time to fill up again."""

Account: TypeAlias = tuple[str, str]
"""A level, and whose: ("session", its id)."""


@dataclass(eq=False, slots=True)
class _Spent:
    """What one account has under way and may still begin."""

    limits: BudgetConfig
    calls: Bucket
    money: Bucket
    under_way: int = 0

    def admits(self, price: float, now: float) -> bool:
        limits = self.limits
        return (
            (not limits.concurrent or self.under_way < limits.concurrent)
            and (not limits.per_minute or self.calls.fill(now) >= 1)
            and (not limits.price_per_hour or self.money.fill(now) >= price)
        )

    def spend(self, calls: float, price: float) -> None:
        self.calls.left -= calls
        self.money.left -= price


class Budgets:
    def __init__(self, limits: Mapping[str, BudgetConfig]) -> None:
        """By level: overall, tenant, session, tool."""
        self._limits = _limited(limits)
        self._accounts: dict[Account, _Spent] = {}
        self._under_way: dict[str, tuple[list[_Spent], float]] = {}
        """By run: whose it is, and what it costs."""

    def configure(self, limits: Mapping[str, BudgetConfig]) -> None:
        """Accounts of a level that changed begin anew: what runs now was within the old limits."""
        changed = {level for level, one in _limited(limits).items() if self._limits.get(level) != one}
        self._limits = _limited(limits)
        self._accounts = {
            account: one
            for account, one in self._accounts.items()
            if account[0] in self._limits and account[0] not in changed
        }

    def admits(self, spec: ToolSpec, context: RunContext, now: float) -> bool:
        """Whether one more predicted run may be taken on."""
        return all(one.admits(spec.price, now) for one in self._of(spec, context, now))

    def begin(self, run: str, spec: ToolSpec, context: RunContext, now: float) -> None:
        """A predicted run was taken on."""
        accounts = self._of(spec, context, now)
        for one in accounts:
            one.under_way += 1
            one.spend(1, spec.price)
        if accounts:
            self._under_way[run] = accounts, spec.price

    def end(self, run: str, *, started: bool) -> None:
        """It runs no more, or is no longer predicted; what never started has cost nothing."""
        accounts, price = self._under_way.pop(run, ((), 0.0))
        for one in accounts:
            one.under_way -= 1
            if not started:
                one.spend(-1, -price)

    def _of(self, spec: ToolSpec, context: RunContext, now: float) -> list[_Spent]:
        whose = {"overall": "", "tenant": context.tenant, "session": context.session, "tool": spec.name}
        return [self._account((level, whose[level]), now) for level in self._limits]

    def _account(self, account: Account, now: float) -> _Spent:
        """Which is now the one used last."""
        found = self._accounts.pop(account, None)
        if found is None:
            limits = self._limits[account[0]]
            calls, money = Bucket(limits.per_minute, MINUTE, now), Bucket(limits.price_per_hour, HOUR, now)
            found = _Spent(limits, calls, money)
        self._accounts[account] = found
        if len(self._accounts) > KEPT:
            del self._accounts[next(iter(self._accounts))]
        return found


def _limited(limits: Mapping[str, BudgetConfig]) -> dict[str, BudgetConfig]:
    return {level: one for level, one in limits.items() if one != BudgetConfig()}
