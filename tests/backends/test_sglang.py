"""What is read out of SGLang's answers, and what is not."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.backends import sglang
from paste_proxy.backends.reading import Reading, ServerInfo
from paste_proxy.schedule.backends import BackendLoad, PriorityBand
from tests.backends.recorded import (
    SGLANG_INFO,
    SGLANG_LOADS,
    SGLANG_METRICS,
    SGLANG_OLD_LOAD,
    SGLANG_PLAIN_INFO,
)

LOAD = BackendLoad(running=3, waiting=2, used_tokens=1200)
encode = msgspec.json.encode


def info(**changed: Any) -> ServerInfo:
    read = sglang.read_server_info(encode(SGLANG_INFO | changed))
    assert read is not None
    return read


def test_how_an_engine_was_started() -> None:
    assert info() == ServerInfo(
        version="0.5.23",
        kv_tokens=65536,
        running=4,
        policy="fcfs",
        band=PriorityBand(soonest=4, latest=-4),
        cache_report=True,
        session_radix=True,
    )


def test_every_rank_has_a_cache_of_its_own() -> None:
    assert info(dp_size=4).kv_tokens == 4 * 65536


@pytest.mark.parametrize(
    ("changed", "band"),
    [
        ({"schedule_low_priority_values_first": True}, PriorityBand(soonest=-4, latest=4)),
        ({"default_priority_value": -7}, PriorityBand(soonest=-3, latest=-11)),
        ({"priority_scheduling_preemption_threshold": 101}, PriorityBand(soonest=50, latest=-50)),
        ({"priority_scheduling_preemption_threshold": 3}, PriorityBand(soonest=1, latest=-1)),
        (
            {"priority_scheduling_preemption_threshold": 0, "disable_priority_preemption": True},
            PriorityBand(soonest=5, latest=-5),
        ),
        ({"schedule_policy": "lof"}, PriorityBand(soonest=4, latest=-4)),
    ],
)
def test_the_band_of_priorities(changed: dict[str, Any], band: PriorityBand) -> None:
    read = info(**changed)
    assert (read.band, read.why_no_band) == (band, "")


@pytest.mark.parametrize(
    ("changed", "flags"),
    [
        (
            {"enable_priority_scheduling": False, "default_priority_value": None, "schedule_policy": "lpm"},
            ["--enable-priority-scheduling", "--schedule-policy fcfs", "--default-priority-value 0"],
        ),
        ({"enable_priority_scheduling": "yes"}, ["--enable-priority-scheduling"]),
        ({"enable_priority_scheduling": None}, ["--enable-priority-scheduling"]),
        ({"default_priority_value": None}, ["--default-priority-value 0"]),
        ({"default_priority_value": "0"}, ["--default-priority-value 0"]),
        ({"default_priority_value": 2**63 - 1}, ["--default-priority-value 0"]),
        ({"priority_scheduling_preemption_threshold": 0}, ["--priority-scheduling-preemption-threshold 10"]),
        ({"priority_scheduling_preemption_threshold": 2}, ["--disable-priority-preemption"]),
        ({"priority_scheduling_preemption_threshold": -1}, ["--disable-priority-preemption"]),
        ({"priority_scheduling_preemption_threshold": "10"}, ["--disable-priority-preemption"]),
    ],
)
def test_why_there_is_no_band(changed: dict[str, Any], flags: list[str]) -> None:
    read = info(**changed)
    assert read.band is None
    assert all(flag in read.why_no_band for flag in flags)


@given(
    threshold=st.integers(-(2**65), 2**65),
    middle=st.integers(-(2**63), 2**63 - 1),
    lower_first=st.booleans(),
    preempts=st.booleans(),
)
def test_nothing_in_the_band_pre_empts(threshold: int, middle: int, lower_first: bool, preempts: bool) -> None:
    read = info(
        priority_scheduling_preemption_threshold=threshold,
        default_priority_value=middle,
        schedule_low_priority_values_first=lower_first,
        disable_priority_preemption=not preempts,
    )
    if read.band is None:
        return
    soonest, latest = read.band.soonest, read.band.latest
    assert (soonest < latest) == lower_first
    assert soonest + latest == 2 * middle
    assert -(2**63) <= min(soonest, latest) <= max(soonest, latest) < 2**63
    if preempts:
        assert abs(soonest - latest) < threshold


def test_a_plain_engine() -> None:
    read = sglang.read_server_info(encode(SGLANG_PLAIN_INFO))
    assert read is not None
    assert (read.band, read.session_radix, read.cache_report) == (None, False, True)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"schedule_policy": 1}', b"null", b"\xff"])
def test_what_is_no_server_info(body: bytes) -> None:
    assert sglang.read_server_info(body) is None


def test_its_load() -> None:
    assert sglang.read_loads(encode(SGLANG_LOADS)) == Reading(LOAD, kv_tokens=65536, running=4)
    two = {"loads": SGLANG_LOADS["loads"] * 2}
    assert sglang.read_loads(encode(two)) == Reading(BackendLoad(6, 4, 2400), kv_tokens=131072, running=8)
    assert sglang.read_get_load(encode(SGLANG_OLD_LOAD)) == Reading(LOAD)
    assert sglang.read_metrics(SGLANG_METRICS.encode()) == Reading(LOAD, kv_tokens=65536)


def test_the_parts_of_a_rank_tell_the_same() -> None:
    lines = SGLANG_METRICS + SGLANG_METRICS.replace('tp_rank="0"', 'tp_rank="1"')
    assert sglang.read_metrics(lines.encode()) == Reading(LOAD, kv_tokens=65536)
    ranks = "".join(SGLANG_METRICS.replace("engine_type", f'dp_rank="{rank}",engine_type') for rank in (0, 1))
    assert sglang.read_metrics(ranks.encode()) == Reading(BackendLoad(6, 4, 2400), kv_tokens=131072)


LIES = ["3", -1, 1e300, 10**400, True, None, [3], {}]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("key", ["num_running_reqs", "num_waiting_reqs", "num_used_tokens"])
def test_a_load_that_is_none(lie: object, key: str) -> None:
    rank = SGLANG_LOADS["loads"][0] | {key: lie}
    assert sglang.read_loads(encode({"loads": [*SGLANG_LOADS["loads"], rank]})) is None


@pytest.mark.parametrize("lie", ["NaN", "-1", "1e300", "+Inf", "x", ""])
def test_a_metric_that_is_none(lie: str) -> None:
    assert sglang.read_metrics(SGLANG_METRICS.replace("2.0\n", f"{lie}\n").encode()) is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"loads": []}', b"null", b'{"loads": 1}'])
def test_what_tells_no_load(body: bytes) -> None:
    assert [source.read(body) for source in sglang.LOADS] == [None] * 3


@given(st.binary() | st.text().map(str.encode))
def test_no_answer_raises(body: bytes) -> None:
    for read in (sglang.read_server_info, *(source.read for source in sglang.LOADS)):
        read(body)
        read(SGLANG_METRICS.encode().replace(b"}", body, 1))
