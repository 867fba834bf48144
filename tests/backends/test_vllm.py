"""What is read out of vLLM's answers, and what is not."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.backends import vllm
from paste_proxy.backends.reading import Reading, ServerInfo
from paste_proxy.schedule.backends import BackendLoad
from tests.backends.recorded import SGLANG_METRICS, VLLM_INFO, VLLM_INFO_TEXT, VLLM_METRICS

encode = msgspec.json.encode


def test_its_version() -> None:
    assert vllm.read_version(b'{"version":"0.32.0"}') == "0.32.0"
    assert [vllm.read_version(body) for body in (b"", b"{}", b'{"version":1}', b"<html>")] == [""] * 4


def test_its_metrics_have_its_name() -> None:
    assert vllm.is_vllm(VLLM_METRICS.encode())
    assert not vllm.is_vllm(SGLANG_METRICS.encode())


def test_how_an_engine_was_started() -> None:
    assert vllm.read_server_info(encode(VLLM_INFO)) == ServerInfo(
        kv_tokens=1048576, running=4, policy="priority", band=vllm.BAND
    )


def test_another_policy_ignores_priorities() -> None:
    config = VLLM_INFO["vllm_config"] | {"scheduler_config": {"policy": "fcfs"}}
    read = vllm.read_server_info(encode({"vllm_config": config}))
    assert read is not None
    assert (read.band, "--scheduling-policy priority" in read.why_no_band) == (None, True)


@pytest.mark.parametrize(
    "answer", [VLLM_INFO_TEXT, {}, [], None, {"vllm_config": {}}, {"vllm_config": {"scheduler_config": 1}}]
)
def test_what_is_no_server_info(answer: Any) -> None:
    assert vllm.read_server_info(encode(answer)) is None


def test_its_load() -> None:
    load = BackendLoad(running=2, waiting=1, used_tokens=262144)
    assert vllm.read_metrics(VLLM_METRICS.encode()) == Reading(load, kv_tokens=1048576)
    older = VLLM_METRICS.replace("kv_cache_usage_perc", "gpu_cache_usage_perc")
    assert vllm.read_metrics(older.encode()) == Reading(load, kv_tokens=1048576)
    both = VLLM_METRICS + VLLM_METRICS.replace('engine="0"', 'engine="1"')
    assert vllm.read_metrics(both.encode()) == Reading(BackendLoad(4, 2, 524288), kv_tokens=2097152)


def test_a_cache_that_it_does_not_tell() -> None:
    unknown = VLLM_METRICS.replace('num_gpu_blocks="8192"', 'num_gpu_blocks="None"')
    assert vllm.read_metrics(unknown.encode()) == Reading(BackendLoad(running=2, waiting=1))


def test_requests_under_way() -> None:
    assert vllm.read_load(b'{"server_load": 3}') == Reading(BackendLoad(running=3))


def test_rest_can_not_be_told_from_counting_nothing() -> None:
    assert vllm.read_load(b'{"server_load": 0}') is None


@pytest.mark.parametrize("lie", ["NaN", "-1", "1e300", "+Inf", "x", ""])
@pytest.mark.parametrize("told", ["1.0", "0.25", "2.0"])
def test_a_metric_that_is_none(lie: str, told: str) -> None:
    lied = VLLM_METRICS.replace(f"}} {told}\n", f"}} {lie}\n", 1)
    read = vllm.read_metrics(lied.encode())
    assert read is None or (told == "0.25" and read.load.used_tokens == 0)


@given(st.binary() | st.text().map(str.encode))
def test_no_answer_raises(body: bytes) -> None:
    for read in (vllm.read_server_info, vllm.read_version, *(source.read for source in vllm.LOADS)):
        read(body)
        read(VLLM_METRICS.encode().replace(b"}", body, 1))
