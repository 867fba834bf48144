"""Whether the run that this task carries out is ahead of the model, and where it may be led then.

For the way out to other servers alone, which is more reserved then. Tools are not told: a result must not
depend on it.
"""

from collections.abc import Mapping
from contextvars import ContextVar

import msgspec

from paste_proxy.config import NetworkConfig
from paste_proxy.tools.ports import Run, RunClass


class Ahead(msgspec.Struct, frozen=True):
    hosts: tuple[str, ...] | None = None
    """Those that redirects may lead to, beside the one that is asked. None: any, for the model has written the
    whole call already."""


_AHEAD: ContextVar[Ahead | None] = ContextVar("ahead", default=None)


def ahead_now() -> Ahead | None:
    """None: this task's run was asked for."""
    return _AHEAD.get()


def enter(run: Run, network: Mapping[str, NetworkConfig]) -> None:
    """For this task, and those that it starts from now on."""
    ahead = None
    if run.run_class is RunClass.SPECULATIVE:
        ahead = Ahead(network.get(run.tool, NetworkConfig()).hosts)
    elif run.run_class is RunClass.DECIDED:
        ahead = Ahead()
    _AHEAD.set(ahead)
