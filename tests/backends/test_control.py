"""Finding out what a backend is, and telling it that nobody waits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import aiohttp
import pytest
from aiohttp import web

from paste_proxy.backends import (
    OPENAI,
    SGLANG,
    VLLM,
    Backend,
    BackendControl,
    Found,
    ModelInfo,
    detect_backend,
)
from paste_proxy.backends.asking import Asker
from paste_proxy.backends.detection import why_no_tokens
from paste_proxy.config import BackendConfig
from paste_proxy.grammar.apis import Api
from paste_proxy.schedule.backends import BackendCapacity, BackendLoad, PriorityBand
from tests.backends.conftest import Play
from tests.backends.recorded import SGLANG_INFO, SGLANG_LOADS, SGLANG_PLAIN_INFO
from tests.patience import SOON_S, until

Answers = dict[str, tuple[int, object]]


async def detect(session: aiohttp.ClientSession, config: BackendConfig) -> Found | None:
    return await detect_backend(Asker(session, config), config)


INFO = {"model_path": "m", "is_generation": True}


@asynccontextmanager
async def backend(answers: Answers) -> AsyncIterator[tuple[str, list[web.Request], list[object]]]:
    """Answers /<name> with (status, JSON); all else with 404."""
    requests: list[web.Request] = []
    bodies: list[object] = []

    async def answer(request: web.Request) -> web.Response:
        requests.append(request)
        if request.can_read_body:
            bodies.append(await request.json())
        status, body = answers.get(request.path.strip("/"), (404, {}))
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", requests, bodies
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({"model_info": (200, INFO)}, SGLANG),
        ({"get_model_info": (200, INFO)}, SGLANG),
        ({}, OPENAI),
        ({"model_info": (200, {"something": "else"})}, OPENAI),
        ({"model_info": (200, [1])}, OPENAI),
        ({"model_info": (401, {})}, OPENAI),
        ({"model_info": (503, {})}, None),
    ],
)
async def test_detection(answers: Answers, found: Backend | None) -> None:
    async with backend(answers) as (url, _, _), aiohttp.ClientSession() as session:
        answer = await detect(session, BackendConfig(url=url + "/"))
        assert (answer and answer.backend) == found


async def test_a_configured_kind_is_believed() -> None:
    async with backend({}) as (url, _, _), aiohttp.ClientSession() as session:
        assert await detect(session, BackendConfig(url=url, kind="sglang")) == Found(SGLANG)
        guessed = await detect(session, BackendConfig(url=url, kind="auto"))
        assert guessed is not None
        assert guessed.backend == OPENAI


async def test_plain_openai_is_not_asked() -> None:
    async with backend({}) as (url, requests, _), aiohttp.ClientSession() as session:
        assert await detect(session, BackendConfig(url=url, kind="openai")) == Found(OPENAI)
        assert requests == []


@pytest.mark.parametrize("kind", ["auto", "sglang"])
async def test_a_backend_says_its_parsers(kind: Literal["auto", "sglang"]) -> None:
    info = INFO | {"tool_call_parser": "pythonic", "reasoning_parser": None}
    async with backend({"model_info": (200, info)}) as (url, _, _), aiohttp.ClientSession() as session:
        found = await detect(session, BackendConfig(url=url, kind=kind))
        assert found is not None
        assert (found.backend, found.info) == (SGLANG, ModelInfo("m", "pythonic", None))


TOKENS = {"choices": [{"logprobs": {"content": [{"token": "a"}]}}]}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((200, TOKENS), ""),
        ((200, {"choices": [{"logprobs": None}]}), "none came"),
        ((200, {"choices": [{"logprobs": {"content": []}}]}), "none came"),
        ((200, []), "none came"),
        ((400, {}), "answers 400"),
        ((401, {}), ""),
        ((500, {}), ""),
    ],
)
async def test_whether_a_reply_tells_its_tokens(answer: tuple[int, object], why: str) -> None:
    async with backend({"v1/chat/completions": answer}) as (url, _, bodies), aiohttp.ClientSession() as session:
        found = await why_no_tokens(Asker(session, BackendConfig(url=url)))
        assert (why in found) if why else found == ""
        assert isinstance(bodies[0], dict)
        assert (bodies[0]["max_tokens"], bodies[0]["logprobs"]) == (1, True)


async def test_a_backend_that_is_not_there_is_asked_by_its_replies() -> None:
    async with aiohttp.ClientSession() as session:
        assert await why_no_tokens(Asker(session, BackendConfig(url="http://127.0.0.1:1"))) == ""


@pytest.mark.parametrize(("status", "tapped"), [(200, True), (400, False)])
async def test_the_raw_tap_is_tried_before_it_is_used(
    status: int, tapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = INFO | {"tool_call_parser": "pythonic"}
    answers: Answers = {"model_info": (200, info), "v1/chat/completions": (status, TOKENS)}
    async with backend(answers) as (url, _, _):
        control = BackendControl(BackendConfig(url=url, raw_tap="logprobs"))
        await control.start()
        assert control.text.tapped == tapped
        await control.close()


async def test_a_backend_in_doubt_is_asked_again() -> None:
    answers: Answers = {"model_info": (200, INFO)}
    async with backend(answers) as (url, requests, _):
        control = BackendControl(BackendConfig(url=url))
        await control.start()
        parses: Callable[[], bool] = lambda: control.text.engine_parses  # noqa: E731
        assert not parses()
        answers["model_info"] = (200, INFO | {"tool_call_parser": "hermes"})
        control.doubt()
        control.doubt()
        async with asyncio.timeout(SOON_S):
            while not parses():  # noqa: ASYNC110 - what changes is a property
                await asyncio.sleep(0.001)
        assert [request.path for request in requests].count("/model_info") == 2
        await control.close()


async def test_a_backend_that_is_not_up_yet_is_openai_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paste_proxy.backends.control.RETRY_S", (0.01,))
    monkeypatch.setattr("paste_proxy.backends.control.FIRST_ASK_S", 0.02)
    answers: Answers = {"model_info": (503, {})}
    async with backend(answers) as (url, _, _):
        control = BackendControl(BackendConfig(url=url))
        await control.start()
        assert (control.current, control.known) == (OPENAI, False)
        answers["model_info"] = (200, INFO)
        async with asyncio.timeout(SOON_S):
            while not control.known:  # noqa: ASYNC110 - what changes is a field
                await asyncio.sleep(0.001)
        assert control.current == SGLANG
        await control.close()


async def test_the_kind_is_known_when_a_start_has_returned() -> None:
    async with backend({"model_info": (200, INFO)}) as (url, _, _):
        control = BackendControl(BackendConfig(url=url))
        await control.start()
        assert (control.current, control.known) == (SGLANG, True)
        await control.close()


async def test_an_abort_carries_the_id_and_the_clients_key() -> None:
    async with backend({"abort_request": (200, {})}) as (url, requests, bodies):
        control = BackendControl(BackendConfig(url=url, kind="sglang"))
        await control.start()
        control.abort(Api.CHAT, "a" * 32, "Bearer k")
        while not bodies:  # noqa: ASYNC110 - the server has no event to wait for
            await asyncio.sleep(0.001)
        await control.close()
        assert bodies == [{"rid": "a" * 32}]
        abort = next(request for request in requests if request.path == "/abort_request")
        assert abort.headers["Authorization"] == "Bearer k"
        assert abort.headers["Connection"] == "close", "many at once would leave as many connections"


async def test_an_abort_is_not_sent_where_there_is_none() -> None:
    async with backend({}) as (url, requests, _):
        control = BackendControl(BackendConfig(url=url, kind="openai"))
        await control.start()
        control.abort(Api.CHAT, "a" * 32, "")
        await control.close()
        assert requests == []


async def test_an_abort_that_can_not_be_delivered_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    control = BackendControl(BackendConfig(url="http://127.0.0.1:1", kind="sglang"))
    await control.start()
    control.abort(Api.CHAT, "a" * 32, "")
    while not caplog.records:  # noqa: ASYNC110 - a log has no event to wait for
        await asyncio.sleep(0.001)
    await control.close()
    assert "was not delivered" in caplog.text


async def test_a_backend_that_hangs_up_is_not_taken_for_one_of_another_scheme(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def hangs_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hangs_up, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        control = BackendControl(BackendConfig(url=url, kind="sglang"))
        await control.start()
        control.abort(Api.CHAT, "a" * 32, "")
        await until(lambda: "was not delivered" in caplog.text)
        await control.close()
    assert "TLS" not in caplog.text


LOADS = "/v1/loads?include=core"


async def test_a_backend_that_was_removed_is_asked_nothing_more(play: Play) -> None:
    async with play({"/model_info": INFO, "/server_info": SGLANG_INFO}) as played:
        control = BackendControl(BackendConfig(url=played.url))
        await control.start()
        assert control.known
        control.rest()
        control.doubt()
        await until(lambda: not control.is_busy)
        asked = len(played.asked)
        await control.start()
        assert (len(played.asked), control.is_busy) == (asked, False)
        await control.close()


async def test_the_core_hears_what_a_backend_can_do_and_how_busy_it_is(play: Play) -> None:
    answers = {"/model_info": INFO, "/server_info": SGLANG_INFO, LOADS: SGLANG_LOADS}
    capacities: list[BackendCapacity] = []
    loads: list[BackendLoad | None] = []
    async with play(answers) as played:
        config = BackendConfig(url=played.url, load_poll_s=0.001)
        control = BackendControl(config, on_capacity=capacities.append, on_load=loads.append)
        await control.start()
        await until(lambda: len(loads) > 2)
        band = PriorityBand(soonest=4, latest=-4)
        assert capacities == [BackendCapacity(kv_tokens=65536, running=4, priority=band, lets_go=True)]
        assert loads[:2] == [BackendLoad(running=3, waiting=2, used_tokens=1200)] * 2
        await control.close()
        asked = len(played.asked)
        await asyncio.sleep(0.01)
        assert len(played.asked) == asked


async def test_an_engine_that_was_started_anew_is_asked_again(play: Play) -> None:
    answers: dict[str, object] = {"/model_info": INFO, "/server_info": SGLANG_INFO, LOADS: SGLANG_LOADS}
    loads: list[BackendLoad | None] = []
    async with play(answers) as played:
        config = BackendConfig(url=played.url, load_poll_s=0.001)
        control = BackendControl(config, on_load=loads.append)
        await control.start()
        answers[LOADS] = 503
        await until(lambda: loads[-1] is None)
        answers |= {LOADS: SGLANG_LOADS, "/server_info": SGLANG_PLAIN_INFO}
        await until(lambda: control.abilities.band is None)
        assert not control.abilities.session_radix
        await control.close()


@pytest.mark.parametrize(
    ("settings", "asked"), [({"load_poll_s": 0.0}, 1), ({"kind": "openai", "load_poll_s": 0.001}, 0)]
)
async def test_one_that_is_not_polled(settings: dict[str, Any], asked: int, play: Play) -> None:
    answers = {"/model_info": INFO, "/server_info": SGLANG_INFO, LOADS: SGLANG_LOADS}
    async with play(answers) as played:
        control = BackendControl(BackendConfig(url=played.url, **settings))
        await control.start()
        await control.close()
        assert played.paths.count(LOADS) == asked


async def test_a_session_that_is_over(play: Play) -> None:
    answers = {"/model_info": INFO, "/server_info": SGLANG_INFO, LOADS: SGLANG_LOADS, "/close_session": 200}
    async with play(answers) as played:
        control = BackendControl(BackendConfig(url=played.url, load_poll_s=0))
        await control.start()
        assert control.session_over("s1")
        await until(lambda: played.bodies)
        assert (played.asked[-1], played.bodies) == (("POST", "/close_session"), [{"session_id": "s1"}])
        await control.close()
        assert not control.session_over("s2"), "it was removed"


async def test_a_session_is_not_ended_where_none_was_begun(play: Play) -> None:
    async with play({"/model_info": INFO, "/server_info": SGLANG_PLAIN_INFO}) as played:
        control = BackendControl(BackendConfig(url=played.url, load_poll_s=0))
        await control.start()
        assert not control.session_over("s1")
        await control.close()
        assert "/close_session" not in played.paths


@pytest.mark.parametrize(("there", "told"), [(200, [["chatcmpl-abc"]]), (403, [])])
async def test_an_abort_of_vllm(there: int, told: list[list[str]], play: Play) -> None:
    async with play({VLLM.abort_path: there}) as played:
        control = BackendControl(BackendConfig(url=played.url, kind="vllm", load_poll_s=0))
        await control.start()
        control.abort(Api.CHAT, "abc", "")
        await until(lambda: len(played.bodies) > len(told))
        await control.close()
        assert [body["request_ids"] for body in played.bodies] == [[], *told]
