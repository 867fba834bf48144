"""What SGLang says of itself (0.5.23; older names where the newer ones are missing).

Priorities: `--enable-priority-scheduling` alone makes requests that bring none the very last, and an arrival
pre-empts what runs if it is more than a threshold ahead. Not all requests can bring one (`/v1/messages`, health
checks), so that priorities are used only with a default value, and only within the threshold around it.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from paste_proxy.backends.figures import Labels, count, samples
from paste_proxy.backends.reading import LoadSource, Reading, ServerInfo
from paste_proxy.schedule.backends import BackendLoad, PriorityBand

THRESHOLD = 10
"""The engine's default threshold: as many steps where it pre-empts nothing and so sets none."""
RESPONSES_STEP = 1
"""A response's calls of built-in tools go on with a priority that is one less than the request's."""
INT64 = 2**63
VOUCHED = PriorityBand(soonest=4, latest=-4)
"""With the engine's own defaults, and 0 for what brings none."""
WITH_PRIORITY = frozenset({"fcfs", "lof"})
"""Policies that know priorities; with others the engine does not start."""


class _Info(msgspec.Struct, frozen=True):
    version: Any = None
    max_total_num_tokens: Any = None
    max_running_requests: Any = None
    dp_size: Any = None
    schedule_policy: Any = None
    enable_priority_scheduling: Any = None
    disable_priority_preemption: Any = None
    schedule_low_priority_values_first: Any = None
    priority_scheduling_preemption_threshold: Any = None
    default_priority_value: Any = None
    enable_cache_report: Any = None
    enable_session_radix_cache: Any = None


class _Rank(msgspec.Struct, frozen=True):
    """Of `/v1/loads`, one for each rank of data parallelism."""

    num_running_reqs: Any = None
    num_waiting_reqs: Any = None
    num_used_tokens: Any = None
    max_total_num_tokens: Any = None
    max_running_requests: Any = None


class _Loads(msgspec.Struct, frozen=True):
    loads: list[_Rank]


class _OldRank(msgspec.Struct, frozen=True):
    """Of `/get_load`, which went with 0.5.2x."""

    num_reqs: Any = None
    """Those that wait among them."""
    num_waiting_reqs: Any = None
    num_tokens: Any = None


_decode_info = msgspec.json.Decoder(_Info).decode
_decode_loads = msgspec.json.Decoder(_Loads).decode
_decode_old = msgspec.json.Decoder(list[_OldRank]).decode
UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)


def read_server_info(body: bytes) -> ServerInfo | None:
    """Of `/server_info`, or `/get_server_info` before. None where it is not that."""
    try:
        info = _decode_info(body)
    except UNREADABLE:
        return None
    if not isinstance(info.schedule_policy, str):
        return None
    ranks = max(1, count(info.dp_size) or 1)
    band, why = _band(info)
    report = info.enable_cache_report
    return ServerInfo(
        version=info.version if isinstance(info.version, str) else "",
        kv_tokens=(count(info.max_total_num_tokens) or 0) * ranks,
        running=count(info.max_running_requests) or 0,
        ranks=ranks,
        policy=info.schedule_policy,
        band=band,
        why_no_band=why,
        cache_report=report if isinstance(report, bool) else None,
        session_radix=info.enable_session_radix_cache is True,
    )


def _band(info: _Info) -> tuple[PriorityBand | None, str]:
    """The band, or why there is none."""
    flags = []
    if info.enable_priority_scheduling is not True:
        flags.append("--enable-priority-scheduling")
        if info.schedule_policy not in WITH_PRIORITY:
            flags.append("--schedule-policy fcfs")
    middle = info.default_priority_value
    if not isinstance(middle, int) or isinstance(middle, bool):
        flags.append("--default-priority-value 0")
    if flags:
        return None, f"start SGLang with {' and '.join(flags)}"
    room = _room(info)
    if room < 2:
        return None, (
            "start SGLang with --priority-scheduling-preemption-threshold 10 (now nearly every difference "
            "pre-empts), or with --disable-priority-preemption"
        )
    if not -INT64 <= middle - room <= middle + room < INT64:
        return None, "start SGLang with --default-priority-value 0: there is no room around the present one"
    sooner = -(room // 2) if info.schedule_low_priority_values_first is True else room // 2
    return PriorityBand(soonest=middle + sooner, latest=middle - sooner), ""


def _room(info: _Info) -> int:
    """How far apart two priorities may be with nothing pre-empted."""
    if info.disable_priority_preemption is True:
        return THRESHOLD
    threshold = info.priority_scheduling_preemption_threshold
    if not isinstance(threshold, int) or isinstance(threshold, bool):
        return 0
    return min(threshold, INT64 // 4) - RESPONSES_STEP


# -- the load ----------------------------------------------------------------------------------------------


def read_loads(body: bytes) -> Reading | None:
    """Of `/v1/loads?include=core`."""
    try:
        ranks = _decode_loads(body).loads
    except UNREADABLE:
        return None
    running, waiting = _sum(one.num_running_reqs for one in ranks), _sum(one.num_waiting_reqs for one in ranks)
    used = _sum(one.num_used_tokens for one in ranks)
    if not ranks or running is None or waiting is None or used is None:
        return None
    return Reading(
        BackendLoad(running=running, waiting=waiting, used_tokens=used),
        kv_tokens=_sum(one.max_total_num_tokens for one in ranks) or 0,
        running=_sum(one.max_running_requests for one in ranks) or 0,
    )


def read_get_load(body: bytes) -> Reading | None:
    """Of `/get_load`."""
    try:
        ranks = _decode_old(body)
    except UNREADABLE:
        return None
    requests, waiting = _sum(one.num_reqs for one in ranks), _sum(one.num_waiting_reqs for one in ranks)
    used = _sum(one.num_tokens for one in ranks)
    if not ranks or requests is None or waiting is None or used is None or requests < waiting:
        return None
    return Reading(BackendLoad(running=requests - waiting, waiting=waiting, used_tokens=used))


_RUNNING, _WAITING, _USED = "sglang:num_running_reqs", "sglang:num_queue_reqs", "sglang:num_used_tokens"
_TOTAL = "sglang:max_total_num_tokens"
_METRICS = frozenset({_RUNNING, _WAITING, _USED, _TOTAL})


def read_metrics(body: bytes) -> Reading | None:
    """Of `/metrics`, where the engine runs with `--enable-metrics`."""
    found: dict[str, dict[str, int]] = {name: {} for name in _METRICS}
    for name, labels, value in samples(body, _METRICS):
        figure = count(value)
        if figure is None:
            return None
        if _is_whole(labels):
            rank = labels.get("dp_rank", "")
            found[name][rank] = max(figure, found[name].get(rank, 0))
    if not found[_RUNNING] or not found[_WAITING]:
        return None
    totals = {name: sum(by_rank.values()) for name, by_rank in found.items()}
    load = BackendLoad(running=totals[_RUNNING], waiting=totals[_WAITING], used_tokens=totals[_USED])
    return Reading(load, kv_tokens=totals[_TOTAL])


def _is_whole(labels: Labels) -> bool:
    """Not of one priority alone: with priorities the engine tells each one's share beside the whole. The parts
    of one rank (tensor and pipeline parallelism) tell the same, of which the most is taken."""
    return labels.get("priority", "") == ""


def _sum(values: Iterable[Any]) -> int | None:
    """None if one of them is no figure."""
    total = 0
    for value in values:
        figure = count(value)
        if figure is None:
            return None
        total += figure
    return total


LOADS = (
    LoadSource("/v1/loads?include=core", read_loads),
    LoadSource("/get_load", read_get_load),
    LoadSource("/metrics", read_metrics),
)
"""The first that answers is asked from then on."""
