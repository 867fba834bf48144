"""A ledger for each tenant, and one that all tenants share.

What the sessions of a tenant teach stays in its own ledger: constants, words of commands, and every count. The
common one holds what is true of all tools (weights of features that are shapes, calibration), and a prior: of
each tenant's groups what an export would show, no more (`privacy.shareable`). Where a tenant has learnt nothing
itself it reads the prior, so that a new one does not begin with nothing. One tenant alone has nobody to share
with, and makes no prior.
"""

import heapq
from collections import OrderedDict
from collections.abc import Collection, Iterable

import msgspec

from paste_proxy.predict.ledger import KNOWN, LIMIT, TOTAL, Changes, Group, Ledger, SavedGroup
from paste_proxy.predict.privacy import exportable, savable, shareable
from paste_proxy.predict.symbols import CALLED

TENANTS = 128
"""That are known at a time, the longest unseen goes: a share of LIMIT below 3,000 labels is too small to be of
use."""
WAITING = LIMIT // 8
"""Values of all tenants that too few sessions had yet."""
COMMON = ""
"""In the place of a tenant's name: what is everybody's."""


class Tables:
    """`limit` bounds the labels of all ledgers together, up to what one turn teaches; where it is passed, the
    largest one forgets."""

    def __init__(self, limit: int = LIMIT, tenants: int = TENANTS) -> None:
        self._limit = limit
        self._tenants = tenants
        self.common = Ledger(limit)
        self._own: OrderedDict[str, Ledger] = OrderedDict()
        """The latest seen last."""
        self._gone: dict[str, None] = {}
        """Forgotten, which no store knows yet."""

    def __len__(self) -> int:
        return sum(map(len, self._all()))

    @property
    def tenants(self) -> Collection[str]:
        return self._own.keys()

    def of(self, tenant: str) -> Ledger:
        """The tenant's own, which stands on the common one. Raises `ValueError` for an empty name."""
        own = self._own.get(tenant)
        if own is None:
            own = self._new(tenant)
        self._own.move_to_end(tenant)
        self._bound()
        return own

    def forget(self, tenant: str) -> bool:
        """Whether there was anything."""
        if tenant not in self._own:
            return False
        del self._own[tenant]
        self._gone[tenant] = None
        return True

    def _new(self, tenant: str) -> Ledger:
        if tenant == COMMON:
            raise ValueError("a tenant must have a name")
        own = self._own[tenant] = Ledger(self._limit, self.common)
        if len(self._own) == 2:  # until now there was nobody to share with
            next(iter(self._own.values())).save_again()
        if len(self._own) > self._tenants:
            self.forget(next(iter(self._own)))
        return own

    def _all(self) -> list[Ledger]:
        return [*self._own.values(), self.common]

    def _bound(self) -> None:
        every = self._all()
        over = sum(map(len, every)) - self._limit
        if over > 0:
            largest = max(every, key=len)
            largest.shrink(len(largest) - over)
        waiting = sum(one.waiting for one in every) - WAITING
        if waiting > 0:
            largest = max(every, key=lambda one: one.waiting)
            largest.forget_waiting(largest.waiting - waiting)

    # -- sharing ------------------------------------------------------------------------------------------

    def exported(self) -> list[SavedGroup]:
        """What may be shown to others, of all tenants: for whoever writes it down and saves nothing."""
        for own in self._own.values():
            self._share(exportable(own))
        return exportable(self.common)

    def add(self, groups: Iterable[SavedGroup]) -> None:
        """To the prior, as far as it may be shared. Raises `TypeError` for no labels."""
        read = Ledger(self._limit)
        read.load(groups)
        self._share(exportable(read))

    def _share(self, groups: Iterable[SavedGroup]) -> None:
        """A group of which more is known stays: who began with it knows as much, and what came since."""
        for saved in groups:
            group, before = dict(saved.labels), self.common.find(saved.section, saved.key) or {}
            if saved.section == CALLED[0]:
                group = _most(before | group)
            if _weight(group) >= _weight(before):
                self.common.replace(saved.section, saved.key, group)

    # -- keeping ------------------------------------------------------------------------------------------

    def load(self, tenant: str, groups: Iterable[SavedGroup]) -> None:
        """Add what was stored: of the common ledger (`COMMON`) first, and of each tenant once, the latest seen
        last. Raises `TypeError` for no labels."""
        ledger = self.common
        if tenant != COMMON:
            ledger = self._own[tenant] = Ledger(self._limit, self.common)
        ledger.load(groups)
        while len(self._own) > self._tenants:
            self.forget(next(iter(self._own)))
        self._bound()

    @property
    def unsaved(self) -> bool:
        return bool(self._gone) or any(one.unsaved for one in self._all())

    def take_changes(self, most: int) -> Changes:
        """As of `Ledger.take_changes`, of one tenant; what is shared of it is a change of the common ledger."""
        for tenant in self._gone:
            del self._gone[tenant]
            return Changes(tenant=tenant, gone=True)
        for tenant, own in self._own.items():
            if own.unsaved:
                changes = own.take_changes(savable, most)
                if len(self._own) > 1:
                    shared = (shareable(saved) for saved in changes.saved)
                    self._share(saved for saved in shared if saved is not None)
                return msgspec.structs.replace(changes, tenant=tenant)
        return self.common.take_changes(savable, most)

    def put_back(self, changes: Changes) -> None:
        """Have them told again."""
        if changes.gone:
            self._gone[changes.tenant] = None
        elif changes.tenant == COMMON:
            self.common.put_back(changes)
        elif changes.tenant in self._own:
            self._own[changes.tenant].put_back(changes)


def _weight(group: Group) -> float:
    """How much is known: turns, or labels where they have no sum."""
    return group.get(TOTAL, float(len(group)))


def _most(names: Group) -> Group:
    kept = set(heapq.nlargest(KNOWN, names, key=names.__getitem__))
    return {name: value for name, value in names.items() if name in kept}
