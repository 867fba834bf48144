"""What an operator is told of a backend."""

from typing import Any

import aiohttp
import pytest

from paste_proxy.backends.asking import Asker
from paste_proxy.backends.report import Report, Row, examine
from paste_proxy.config import BackendConfig
from paste_proxy.lab.scripted_engine import ScriptedEngine
from paste_proxy.lab.workload import load_workload
from tests.backends.conftest import Answers, Play
from tests.backends.recorded import (
    SGLANG_INFO,
    SGLANG_LOADS,
    SGLANG_PLAIN_INFO,
    VLLM_METRICS,
    VLLM_MODELS,
)
from tests.gateway.servers import serving

LOADS = "/v1/loads?include=core"
CHAT = "/v1/chat/completions"
INFO = {"model_path": "m", "tool_call_parser": "qwen", "reasoning_parser": None}
MODELS = {"data": [{"id": "tiny", "owned_by": "sglang"}]}
TOKENS = {"choices": [{"logprobs": {"content": [{"token": "a"}]}}]}
SGLANG: Answers = {
    "/v1/models": MODELS,
    "/model_info": INFO,
    "/server_info": SGLANG_INFO,
    LOADS: SGLANG_LOADS,
    CHAT: TOKENS,
}


async def report(play: Play, answers: Answers, **settings: Any) -> Report:
    async with play(answers) as backend:
        config = BackendConfig(url=backend.url, **settings)
        return await examine("", backend.asker, config)


def lines(told: Report) -> list[str]:
    return [str(row) for row in told.abilities]


async def test_an_sglang_with_everything(play: Play) -> None:
    told = await report(play, SGLANG, raw_tap="logprobs")
    assert told.usable
    assert lines(told) == [
        "reachable: yes, it answers 200 (GET /v1/models)",
        "kind: yes, sglang 0.5.23 (by /model_info)",
        "models: yes, tiny (/v1/models)",
        "parsers: yes, tool calls qwen, reasoning none (/model_info)",
        f"load: yes, 3 running, 2 waiting, 1200 tokens ({LOADS})",
        f"kv_capacity: yes, 65536 tokens, 4 requests at once ({LOADS})",
        "priority: yes, -4 (latest) to 4 (soonest) (/server_info)",
        "cache_report: yes (/server_info)",
        "abort: yes, /abort_request (by its kind)",
        "session_radix_cache: yes, session_id and /close_session (/server_info)",
        "raw_tap: yes (a reply of one token)",
    ]


async def test_a_plain_sglang_is_told_its_flags(play: Play) -> None:
    plain = SGLANG_PLAIN_INFO | {"enable_cache_report": False, "schedule_policy": "lpm"}
    told = await report(
        play, SGLANG | {"/server_info": plain, "/model_info": INFO | {"tool_call_parser": None}, LOADS: 404}
    )
    missing = {row.ability: row.advice for row in told.abilities if row.state == "no"}
    assert missing == {
        "parsers": "start SGLang with --tool-call-parser NAME, or set backend.parse: proxy",
        "load": "start SGLang with --enable-metrics, or take one that has /v1/loads",
        "priority": "start SGLang with --enable-priority-scheduling and --schedule-policy fcfs and "
        "--default-priority-value 0",
        "cache_report": "start SGLang with --enable-cache-report",
        "session_radix_cache": "start SGLang with --enable-session-radix-cache",
        "raw_tap": "the engine runs no tool-call parser, so its text holds nothing back",
    }
    assert Row("kv_capacity", "yes", "65536 tokens, 4 requests at once", "/server_info") in told.abilities


async def test_a_vllm(play: Play) -> None:
    answers = {"/v1/models": VLLM_MODELS, "/version": {"version": "0.32.0"}, "/metrics": VLLM_METRICS}
    told = await report(play, answers)
    states = {row.ability: row.state for row in told.abilities}
    assert states == {
        "reachable": "yes",
        "kind": "yes",
        "models": "yes",
        "parsers": "unknown",
        "load": "yes",
        "kv_capacity": "yes",
        "priority": "no",
        "cache_report": "unknown",
        "abort": "no",
        "session_radix_cache": "no",
        "raw_tap": "no",
    }
    assert any(
        "--scheduling-policy priority" in line and "backend.priority: on" in line for line in lines(told)
    )


async def test_any_other(play: Play) -> None:
    told = await report(play, {"/v1/models": 404, "/v1/chat/completions": 400})
    assert told.usable
    assert {row.state for row in told.abilities[2:]} == {"unknown", "no"}
    assert all(row.advice for row in told.abilities[2:])


async def test_one_that_wants_a_key(play: Play) -> None:
    told = await report(play, {"/v1/models": 401, "/model_info": 401})
    assert told.usable
    assert told.abilities[0].advice == "set backend.key"


@pytest.mark.parametrize("answers", [{"/v1/models": 503}, {"/v1/models": MODELS, "/model_info": 500}])
async def test_one_that_is_loading(answers: Answers, play: Play) -> None:
    told = await report(play, answers)
    assert not told.usable
    assert [row.ability for row in told.abilities] == ["reachable"]


async def test_nobody_there() -> None:
    config = BackendConfig(url="http://127.0.0.1:1")
    async with aiohttp.ClientSession() as session:
        told = await examine("b1", Asker(session, config), config)
    assert (told.name, told.usable) == ("b1", False)
    assert "start it, or correct the url" in str(told.abilities[0])


async def test_what_is_possible_and_off(play: Play) -> None:
    told = await report(play, SGLANG, session_radix="off", priority="off")
    advice = {row.ability: row.advice for row in told.abilities if row.state == "no"}
    assert advice == {
        "priority": "set backend.priority: auto",
        "session_radix_cache": "set backend.session_radix: auto",
        "raw_tap": "set backend.raw_tap: logprobs to see calls before the engine's parser tells them",
    }


async def test_the_lab_s_engine_is_not_told_flags_of_sglang_s() -> None:
    """It has none of them, though it answers as SGLang does."""
    engine = ScriptedEngine(load_workload(), time_scale=0.001)
    async with serving(engine.application()) as url, aiohttp.ClientSession() as session:
        config = BackendConfig(url=url)
        told = await examine("", Asker(session, config), config)
    assert told.usable
    assert lines(told)[1] == (
        "kind: yes, sglang (by /model_info) - its wire format: this is the lab's scripted engine, "
        "without a model and without flags"
    )
    assert [row.ability for row in told.abilities if row.advice] == ["kind"]
