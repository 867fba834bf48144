"""A process's link to a proxy, for any of its threads: started at its first use, and anew after a fork."""

import contextvars
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from paste_proxy.client.bound import Bound, Origin, running_loop
from paste_proxy.client.calls import Call
from paste_proxy.client.carrier import Carrier


class Link:
    """Nothing here waits, and nothing raises but `offer`."""

    def __init__(self, proxy: str, *, share_outputs: bool = False) -> None:
        self._proxy = proxy
        self._share_outputs = share_outputs
        self._lock = threading.Lock()
        self._carrier: Carrier | None = None
        self._origins: dict[str, Origin] = {}
        os.register_at_fork(after_in_child=self._forked)

    def offer(self, bounds: Iterable[Bound]) -> None:
        """Tell the proxy of these tools, now and whenever it comes back."""
        context, loop = contextvars.copy_context(), running_loop()
        origins = {bound.spec.name: Origin(bound, loop, context) for bound in bounds}
        with self._lock:
            self._origins |= origins
        self._post(Carrier.offer, origins)

    @property
    def is_up(self) -> bool:
        carrier = self._carrier
        return carrier is not None and carrier.is_up

    def may_run_ahead(self, tool: str) -> bool:
        """As far as the proxy has said."""
        carrier = self._carrier
        return carrier is not None and carrier.may_run_ahead(tool)

    def claim(self, call: Call) -> None:
        self._post(Carrier.claim, call)

    def impatient(self, call: Call) -> None:
        self._post(Carrier.impatient, call)

    def leave(self, call: Call) -> None:
        self._post(Carrier.leave, call)

    def finished(self, call: Call, error: str | None) -> None:
        self._post(Carrier.finished, call, error)

    def close(self) -> None:
        """End the connection and its thread; it is made anew by the next call."""
        with self._lock:
            carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.stop()

    def _post(self, work: Callable[..., None], *args: Any) -> None:
        with self._lock:
            if self._carrier is None:
                self._carrier = Carrier(self._proxy, dict(self._origins), share_outputs=self._share_outputs)
            work(self._carrier, *args)

    def _forked(self) -> None:
        """The child has no other thread than the one that forked, and the connection is its parent's."""
        self._lock = threading.Lock()
        self._carrier = None
