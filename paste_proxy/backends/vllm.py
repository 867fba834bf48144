"""What vLLM says of itself (0.33).

Its load is in `/metrics`. `/load` counts requests only with `--enable-server-load-tracking` and says 0 without,
which nobody can tell from rest: its 0 counts as silence. How requests are ordered it tells only in development
mode (`VLLM_SERVER_DEV_MODE=1`). It does not refuse a priority that its scheduler ignores, whatever its API's
description says, so that asking for a reply verifies nothing: without that page the operator's word counts
(`backend.priority: on`).
"""

from typing import Any

import msgspec

from paste_proxy.backends.figures import count, samples, share
from paste_proxy.backends.reading import LoadSource, Reading, ServerInfo
from paste_proxy.backends.sglang import THRESHOLD, UNREADABLE
from paste_proxy.schedule.backends import BackendLoad, PriorityBand

BAND = PriorityBand(soonest=-(THRESHOLD // 2), latest=THRESHOLD // 2)
"""Lower is sooner, and what brings none has 0. An arrival pre-empts nothing at any distance: as many steps as
other engines have."""
TOLD_BY_ASKING = "start vLLM with --scheduling-policy priority, and "
UNVERIFIED = (
    TOLD_BY_ASKING + "with VLLM_SERVER_DEV_MODE=1 so that it can be verified, or set backend.priority: on"
)


class _Version(msgspec.Struct, frozen=True):
    version: str


class _Scheduler(msgspec.Struct, frozen=True):
    policy: Any = None
    max_num_seqs: Any = None


class _Cache(msgspec.Struct, frozen=True):
    num_gpu_blocks: Any = None
    block_size: Any = None


class _Config(msgspec.Struct, frozen=True):
    scheduler_config: _Scheduler = _Scheduler()
    cache_config: _Cache = _Cache()


class _Info(msgspec.Struct, frozen=True):
    vllm_config: _Config


class _Load(msgspec.Struct, frozen=True):
    server_load: Any = None


_decode_version = msgspec.json.Decoder(_Version).decode
_decode_info = msgspec.json.Decoder(_Info).decode
_decode_load = msgspec.json.Decoder(_Load).decode


def read_version(body: bytes) -> str:
    """Of `/version`; "" where it is not that."""
    try:
        return _decode_version(body).version
    except UNREADABLE:
        return ""


def is_vllm(metrics: bytes) -> bool:
    """By the names of its metrics."""
    return b"\nvllm:" in metrics or metrics.startswith(b"vllm:")


def read_server_info(body: bytes) -> ServerInfo | None:
    """Of `/server_info?config_format=json`."""
    try:
        config = _decode_info(body).vllm_config
    except UNREADABLE:
        return None
    policy = config.scheduler_config.policy
    if not isinstance(policy, str):
        return None
    in_order = policy == "priority"
    return ServerInfo(
        kv_tokens=(count(config.cache_config.num_gpu_blocks) or 0)
        * (count(config.cache_config.block_size) or 0),
        running=count(config.scheduler_config.max_num_seqs) or 0,
        policy=policy,
        band=BAND if in_order else None,
        why_no_band="" if in_order else "start vLLM with --scheduling-policy priority",
    )


# -- the load ----------------------------------------------------------------------------------------------

_RUNNING, _WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"
_USAGE, _OLD_USAGE = "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"
_CACHE = "vllm:cache_config_info"
_METRICS = frozenset({_RUNNING, _WAITING, _USAGE, _OLD_USAGE, _CACHE})


def read_metrics(body: bytes) -> Reading | None:
    """Of `/metrics`; one sample for each engine of data parallelism."""
    running, waiting = 0, 0
    usage: dict[str, float] = {}
    blocks: dict[str, int] = {}
    seen = set()
    for name, labels, value in samples(body, _METRICS):
        engine = labels.get("engine", "")
        if name == _CACHE:
            blocks[engine] = _tokens(labels.get("num_gpu_blocks", ""), labels.get("block_size", ""))
            continue
        figure = share(value) if name in (_USAGE, _OLD_USAGE) else count(value)
        if figure is None:
            return None
        seen.add(name)
        if name == _RUNNING:
            running += int(figure)
        elif name == _WAITING:
            waiting += int(figure)
        else:
            usage[engine] = figure
    if not {_RUNNING, _WAITING} <= seen:
        return None
    used = sum(round(usage.get(engine, 0.0) * tokens) for engine, tokens in blocks.items())
    return Reading(BackendLoad(running, waiting, used), kv_tokens=sum(blocks.values()))


def _tokens(blocks: str, block_size: str) -> int:
    """Labels are texts; before the first request some say `None`."""
    if not (blocks.isdecimal() and block_size.isdecimal() and len(blocks + block_size) < len(str(10**12))):
        return 0
    return int(blocks) * int(block_size)


def read_load(body: bytes) -> Reading | None:
    """Of `/load`: requests under way, those that wait among them."""
    try:
        running = count(_decode_load(body).server_load)
    except UNREADABLE:
        return None
    return Reading(BackendLoad(running=running)) if running else None


LOADS = (LoadSource("/metrics", read_metrics), LoadSource("/load", read_load))
