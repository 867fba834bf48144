"""The tools as one face of the gateway lists them, for each tenant once, and anew when they have changed."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from paste_proxy.access.access import Tenant
from paste_proxy.tools.spec import ToolSpec
from paste_proxy.tools.table import ToolTable

T = TypeVar("T")


class Listings(Generic[T]):
    """One per tenant: as many as the configuration has."""

    def __init__(self, tools: ToolTable, written: Callable[[Iterable[ToolSpec]], T]) -> None:
        self._tools = tools
        self._written = written
        self._listed = tools.version
        self._by_tenant: dict[str, T] = {}

    def of(self, tenant: Tenant) -> T:
        if self._listed != self._tools.version:
            self._by_tenant.clear()
            self._listed = self._tools.version
        if tenant.name not in self._by_tenant:
            specs = (spec for spec in self._tools.listed() if tenant.config.permits(spec.name))
            self._by_tenant[tenant.name] = self._written(specs)
        return self._by_tenant[tenant.name]
