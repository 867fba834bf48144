"""A web server that is no LLM server is told apart, and one that may be is given the benefit of the doubt."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from paste_proxy.backends import control
from paste_proxy.backends.control import BackendControl
from paste_proxy.backends.detection import API_PATHS, MODELS_PATH, detect_backend, why_no_llm
from paste_proxy.backends.report import examine
from paste_proxy.config import BackendConfig
from tests.backends.conftest import Answers, Play

PAGE = "<!DOCTYPE html><title>Hello</title>"
MODELS: dict[str, Any] = {"data": []}


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({}, "/v1/models 404, /v1/chat/completions 404, "),
        (dict.fromkeys(API_PATHS, 501), "/v1/models 404, /v1/chat/completions 501, "),
        (dict.fromkeys((MODELS_PATH, *API_PATHS), PAGE), "/v1/models 200, /v1/chat/completions 200, "),
    ],
)
async def test_a_web_server(answers: Answers, told: str, play: Play) -> None:
    async with play(answers) as backend:
        assert told in await why_no_llm(backend.asker)
        report = await examine("", backend.asker, BackendConfig(url=backend.url))
    assert not report.usable
    [row] = report.abilities
    assert (row.ability, row.state, told in row.what) == ("llm_server", "no", True)
    assert row.advice.startswith("no LLM server is there: correct the url")


@pytest.mark.parametrize(
    "answers",
    [
        {MODELS_PATH: MODELS},
        {MODELS_PATH: 401},
        {MODELS_PATH: 503},
        {"/v1/chat/completions": 422},
        {"/v1/messages": 401},
        {"/generate": 500},
        {"/v1/completions": {"choices": []}},
    ],
)
async def test_what_may_be_one(answers: Answers, play: Play) -> None:
    async with play(answers) as backend:
        assert await why_no_llm(backend.asker) == ""


async def hangs_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize("kind", ["auto", "openai"])
async def test_who_does_not_answer_an_empty_request_may_be_one(kind: Any, play: Play) -> None:
    answers: Answers = dict.fromkeys(API_PATHS, hangs_up)
    async with play(answers) as backend:
        assert await why_no_llm(backend.asker) == ""
        report = await examine("", backend.asker, BackendConfig(url=backend.url, kind=kind))
        assert report.usable


@pytest.mark.parametrize("kind", ["auto", "openai"])
async def test_what_was_found_out_is_not_asked_again(kind: Any, play: Play) -> None:
    async with play({"/generate": 500}) as backend:
        assert (await examine("", backend.asker, BackendConfig(url=backend.url, kind=kind))).usable
        assert backend.paths.count("/generate") == 1


async def test_a_warning_names_the_backends_own_key(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    async with play({}) as backend:
        watched = BackendControl(BackendConfig(url=backend.url), where="backends.two")
        await watched.start()
        await watched.close()
    assert "is backends.two.url right?" in caplog.text


async def test_who_vouches_for_a_kind_is_believed_at_a_start(play: Play) -> None:
    async with play({}) as backend:
        found = await detect_backend(backend.asker, BackendConfig(url=backend.url, kind="openai"))
        assert found is not None
        assert (found.no_llm, backend.asked) == ("", [])


async def test_a_proxy_says_so_once_and_sees_when_it_is_one(
    play: Play, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(control, "LOOK_AGAIN_S", 0.01)
    caplog.set_level("INFO")
    async with play({}) as backend:
        watched = BackendControl(BackendConfig(url=backend.url))
        await watched.start()
        while backend.paths.count(MODELS_PATH) < 3:  # noqa: ASYNC110 - a server of its own
            await asyncio.sleep(0.01)
        assert watched.no_llm.startswith("it answers /v1/models 404")
        assert len([one for one in caplog.messages if "seems to be no LLM server" in one]) == 1
        backend.answers[MODELS_PATH] = MODELS
        while watched.no_llm:  # noqa: ASYNC110 - a server of its own
            await asyncio.sleep(0.01)
        assert caplog.messages[-1] == f"the backend at {backend.url} is an LLM server now"
        await watched.close()
