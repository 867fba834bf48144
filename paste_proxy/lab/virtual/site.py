"""Everything that one run needs, built for one cell: the composition root of the lab."""

from collections.abc import Mapping
from typing import Any

import msgspec

from paste_proxy.config import Config
from paste_proxy.core import Core
from paste_proxy.events import BackendUp
from paste_proxy.lab.engine.spec import EngineSpec
from paste_proxy.lab.virtual.fleet import Fleet
from paste_proxy.lab.virtual.limited import UNLIMITED, ToolLimits, limited
from paste_proxy.lab.virtual.predictors import Silent
from paste_proxy.lab.virtual.shell import Shell
from paste_proxy.lab.virtual.time import VirtualTime
from paste_proxy.lab.virtual.world import World
from paste_proxy.predict.model import Predictor
from paste_proxy.schedule.backends import BackendCapacity
from paste_proxy.tools.spec import Effect, ToolSpec
from paste_proxy.tools.table import ToolTable


class VirtualSite:
    """`agent.Site`."""

    def __init__(
        self,
        world: World,
        engine: EngineSpec,
        predictor: Predictor | None,
        *,
        engines: int = 1,
        hides_tools: bool = False,
        limits: ToolLimits = UNLIMITED,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Without a predictor nothing runs ahead. `settings` are keys of the configuration. With several
        engines every tool has so many times its slots and its rate: it is all more of the same."""
        self.time = VirtualTime()
        self.world = limited(world, limits.times(engines), lambda: self.time.now)
        self.fleet = Fleet(engine, engines, self.time)
        specs = _scaled(world.specs, engines)
        config = _config(specs, settings or {}, speculates=predictor is not None)
        core = Core(ToolTable(specs), config, predictor or Silent())
        self.shell = Shell(core, self.world, self.time, self.fleet, hides_tools=hides_tools)
        self.shell.tell(BackendUp("", _capacity(engine, engines)))


def _capacity(engine: EngineSpec, engines: int) -> BackendCapacity:
    """As an engine says it of itself; several are one backend for the core, behind a router with affinity."""
    return BackendCapacity(
        engine.kv_tokens * engines,
        engine.max_running_requests * engines,
        ranks=engines,
        lets_go=engine.session_tags,
    )


def _scaled(specs: Mapping[str, ToolSpec], times: int) -> dict[str, ToolSpec]:
    return {
        name: msgspec.structs.replace(spec, concurrency=spec.concurrency * times)
        for name, spec in specs.items()
    }


def _config(specs: Mapping[str, ToolSpec], settings: Mapping[str, Any], *, speculates: bool) -> Config:
    """As the demo's cells have it: all slots of all tools, and every tool that reads allowed."""
    readers = [spec.name for spec in specs.values() if spec.effect is Effect.READ]
    slots = sum(spec.concurrency for spec in specs.values())
    base: dict[str, Any] = {
        "limits": {
            "tool_runs": slots,
            "sessions": 1_000_000,
            "queued_calls": 1_000_000,
            "queued_turns": 1_000_000,
        },
        # No hit is looked at again: the lab's tools give the same result each time.
        "speculation": {"mode": "on", "allow": readers, "slots": slots, "sample": 0.0}
        if speculates
        else {"mode": "off"},
    }
    for key, value in settings.items():
        base[key] = base.get(key, {}) | value if isinstance(value, Mapping) else value
    return msgspec.convert(base, Config)
