"""The hits that clients were told of: a client may refuse to give one out, by its own clock or look.

It says so afterwards, of the run and once. What it says of others' runs, or of none, means nothing.
"""

import msgspec

from paste_proxy.tools.ports import RunClass
from paste_proxy.tools.spec import ToolSpec

KEPT = 1024
"""Hits that can still be refused, the oldest goes first: a client says it within milliseconds."""


class Given(msgspec.Struct, frozen=True):
    client: str
    spec: ToolSpec
    tenant: str
    run_class: RunClass
    served: str
    """How the call was counted: reused, joined, decided."""
    service_s: float
    size: int
    saved_s: float


class GivenHits:
    def __init__(self) -> None:
        self._by_run: dict[str, Given] = {}

    def gave(self, run: str, given: Given) -> None:
        self._by_run[run] = given
        if len(self._by_run) > KEPT:
            del self._by_run[next(iter(self._by_run))]

    def refused(self, client: str, run: str) -> Given | None:
        """None where there is no such hit of the client's."""
        given = self._by_run.get(run)
        return self._by_run.pop(run) if given is not None and given.client == client else None
