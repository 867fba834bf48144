"""What a backend is found to be able to do, and what it is believed."""

import asyncio
from typing import Any, Literal

import pytest
from aiohttp import web

from paste_proxy.backends import OPENAI, SGLANG, VLLM, vllm
from paste_proxy.backends.abilities import NO_ABILITIES, find_abilities
from paste_proxy.config import BackendConfig
from paste_proxy.schedule.backends import BackendCapacity, BackendLoad, PriorityBand
from tests.backends.conftest import Answers, Play
from tests.backends.recorded import (
    SGLANG_INFO,
    SGLANG_LOADS,
    SGLANG_METRICS,
    SGLANG_OLD_LOAD,
    SGLANG_PLAIN_INFO,
    VLLM_INFO,
    VLLM_METRICS,
)

LOADS = "/v1/loads?include=core"
VLLM_SERVER_INFO = "/server_info?config_format=json"
BAND = PriorityBand(soonest=4, latest=-4)


async def test_an_sglang(play: Play) -> None:
    async with play({"/server_info": SGLANG_INFO, LOADS: SGLANG_LOADS}) as backend:
        found = await find_abilities(backend.asker, SGLANG, BackendConfig())
        assert found.capacity == BackendCapacity(kv_tokens=65536, running=4, priority=BAND, lets_go=True)
        assert (found.info_path, found.session_radix, found.wants_key) == ("/server_info", True, False)
        assert found.source is not None
        assert found.source.path == LOADS
        assert found.reading is not None
        assert found.reading.load == BackendLoad(running=3, waiting=2, used_tokens=1200)


@pytest.mark.parametrize(
    ("answers", "asked", "source"),
    [
        ({"/get_server_info": SGLANG_INFO, "/get_load": SGLANG_OLD_LOAD}, "/get_server_info", "/get_load"),
        ({"/server_info": SGLANG_INFO, "/metrics": SGLANG_METRICS}, "/server_info", "/metrics"),
        ({"/server_info": "<html>", "/get_server_info": SGLANG_INFO}, "/get_server_info", ""),
    ],
)
async def test_older_names(answers: Answers, asked: str, source: str, play: Play) -> None:
    async with play(answers) as backend:
        found = await find_abilities(backend.asker, SGLANG, BackendConfig())
        assert (found.info_path, found.source.path if found.source else "") == (asked, source)
        assert (found.band, found.capacity.kv_tokens) == (BAND, 65536)


async def test_an_sglang_of_several_ranks(play: Play) -> None:
    async with play({"/server_info": SGLANG_INFO | {"dp_size": 4}}) as backend:
        found = await find_abilities(backend.asker, SGLANG, BackendConfig())
        assert (found.capacity.ranks, found.capacity.kv_tokens) == (4, 4 * 65536)


async def test_a_plain_sglang_is_sent_nothing(play: Play) -> None:
    async with play({"/server_info": SGLANG_PLAIN_INFO}) as backend:
        found = await find_abilities(backend.asker, SGLANG, BackendConfig(priority="on"))
        assert (found.band, found.session_radix) == (None, False)
        assert "--enable-priority-scheduling" in found.why_no_band


async def test_what_the_operator_does_not_want(play: Play) -> None:
    async with play({"/server_info": SGLANG_INFO}) as backend:
        config = BackendConfig(priority="off", session_radix="off")
        found = await find_abilities(backend.asker, SGLANG, config)
        assert (found.band, found.session_radix) == (None, False)


@pytest.mark.parametrize("status", [401, 403, 404, 500])
@pytest.mark.parametrize("priority", ["auto", "on"])
async def test_one_that_says_nothing(status: int, priority: Literal["auto", "on"], play: Play) -> None:
    async with play({"/server_info": status, LOADS: status}) as backend:
        found = await find_abilities(backend.asker, SGLANG, BackendConfig(priority=priority))
        assert found.wants_key == (status in (401, 403))
        assert found.band == (BAND if priority == "on" else None)
        assert (found.info_path, found.source, found.session_radix) == ("", None, False)
        assert found.capacity == BackendCapacity(priority=found.band)


async def test_a_vllm_in_development_mode(play: Play) -> None:
    answers = {VLLM_SERVER_INFO: VLLM_INFO, "/metrics": VLLM_METRICS}
    async with play(answers) as backend:
        found = await find_abilities(backend.asker, VLLM, BackendConfig())
        assert found.capacity == BackendCapacity(kv_tokens=1048576, running=4, priority=vllm.BAND)


@pytest.mark.parametrize(("priority", "band"), [("auto", None), ("on", vllm.BAND), ("off", None)])
async def test_a_vllm_that_does_not_say_its_policy(
    priority: Literal["auto", "on", "off"], band: PriorityBand | None, play: Play
) -> None:
    async with play({"/metrics": VLLM_METRICS}) as backend:
        found = await find_abilities(backend.asker, VLLM, BackendConfig(priority=priority))
        assert found.band == band


@pytest.mark.parametrize(("answer", "there"), [(200, True), (403, False), (404, False), (405, False)])
async def test_an_abort_that_may_be_there(answer: int, there: bool, play: Play) -> None:
    async with play({VLLM.abort_path: answer}) as backend:
        found = await find_abilities(backend.asker, VLLM, BackendConfig())
        assert (found.abort_path != "") == there
        assert backend.bodies == [{"request_ids": []}]


async def test_an_openai_server_is_asked_nothing(play: Play) -> None:
    async with play({}) as backend:
        config = BackendConfig(priority="on")
        found = await find_abilities(backend.asker, OPENAI, config)
        assert (found.capacity, found.band, backend.asked) == (NO_ABILITIES.capacity, None, [])


@pytest.mark.parametrize("lie", [{"loads": [{"num_running_reqs": "3"}]}, "<html>", [], {"loads": [[]]}, "NaN"])
async def test_lies_are_silence(lie: Any, play: Play) -> None:
    answers: Answers = {"/server_info": lie, LOADS: lie, "/get_load": lie, "/metrics": lie}
    async with play(answers) as backend:
        found = await find_abilities(backend.asker, SGLANG, BackendConfig())
        assert (found.source, found.capacity, found.session_radix) == (None, BackendCapacity(), False)


async def test_what_takes_long_to_say(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paste_proxy.backends.asking.ASK_S", 0.02)

    async def slowly(_: web.Request) -> dict[str, Any]:
        await asyncio.sleep(0.1)
        return VLLM_INFO

    async with play({VLLM_SERVER_INFO: slowly}) as backend:
        found = await find_abilities(backend.asker, VLLM, BackendConfig())
        assert found.band == vllm.BAND
