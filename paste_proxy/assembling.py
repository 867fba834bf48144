"""The parts of the core, as the configuration has them."""

from collections.abc import Mapping

import msgspec

from paste_proxy.broker.broker import Broker
from paste_proxy.broker.budgets import Budgets
from paste_proxy.broker.permits import Permits
from paste_proxy.broker.sampling import Sampling
from paste_proxy.broker.staging import StagingLimits
from paste_proxy.broker.waste import WasteCap
from paste_proxy.config import Config
from paste_proxy.deadlines import Deadlines
from paste_proxy.schedule.queue import Capacity, JointQueue
from paste_proxy.tools.table import ToolTable


def capacity_of(tools: ToolTable, config: Config, max_turns: Mapping[str, int]) -> Capacity:
    def at_once(tool: str) -> int:
        return tools[tool].concurrency if tool in tools else config.limits.tool_runs

    return Capacity(
        turns=lambda lane: max_turns.get(lane, 0),
        runs=config.limits.tool_runs,
        reserve=config.limits.tool_reserve,
        speculative=config.speculation.slots,
        per_tool=at_once,
    )


def broker_of(specs: ToolTable, config: Config, queue: JointQueue, deadlines: Deadlines) -> Broker:
    on = config.speculation.mode == "on"
    return Broker(
        specs,
        queue=queue,
        deadlines=deadlines,
        staging=StagingLimits(
            config.limits.staged_result_bytes,
            config.limits.staged_session_bytes,
            config.limits.staged_total_bytes,
        ),
        permits=Permits(
            frozenset(config.speculation.allow) if on else frozenset(),
            Budgets(msgspec.structs.asdict(config.speculation.budgets)),
            WasteCap(config.speculation.waste),
        ),
        sampling=Sampling(config.speculation.sample),
        min_service_s=config.speculation.min_service_s,
        queued_calls=config.limits.queued_calls,
    )
