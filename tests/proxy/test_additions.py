"""What is put into requests for the engine that they go to, at an engine whose answers a test chooses."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.backends import vllm
from paste_proxy.backends.abilities import NO_ABILITIES
from paste_proxy.config import BackendConfig
from paste_proxy.errors import RequestError
from paste_proxy.events import AdmitTurn, Identity
from paste_proxy.grammar.requests import ChatRequest
from paste_proxy.proxy.additions import is_object, spliced
from tests.backends.recorded import SGLANG_INFO, SGLANG_PLAIN_INFO, VLLM_INFO
from tests.patience import SOON_S
from tests.proxy.support import FakeRuntime, FakeTurn, Proxy, proxy

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
CHAT = "/v1/chat/completions"
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": "hi"}], "tools": TOOLS},
    "/v1/completions": {"prompt": "hi", "session_id": "mine"},
    "/v1/responses": {"input": "hi", "tools": TOOLS},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1, "tools": TOOLS},
    "/generate": {"text": "hi"},
}


class Engine:
    """Takes down what it is sent."""

    def __init__(self, pages: dict[str, Any]) -> None:
        self.pages = pages
        self.bodies: list[bytes] = []
        self.heads: list[Any] = []
        self.told: list[tuple[str, Any]] = []

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            page = self.pages.get(request.path_qs)
            return web.json_response(page, status=200 if page is not None else 404)
        if request.path in BODIES:
            self.bodies.append(await request.read())
            self.heads.append(request.headers)
        else:
            self.told.append((request.path, await request.json()))
        return web.json_response({})

    @property
    def last(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.bodies[-1])
        return read


class Runtime(FakeRuntime):
    """Admits every turn as the core would."""

    def __init__(self, priority: int | None, session: str) -> None:
        super().__init__()
        self.admission = AdmitTurn("turn", "", priority, session=session)

    async def admit(self, identity: Identity, request: ChatRequest | None, *rest: Any) -> FakeTurn:
        turn = await super().admit(identity, request, *rest)
        turn.admission = self.admission
        return turn


SGLANG = {"/model_info": {"model_path": "m"}, "/server_info": SGLANG_INFO}
PLAIN = {"/model_info": {"model_path": "m"}, "/server_info": SGLANG_PLAIN_INFO}
VLLM = {"/server_info?config_format=json": VLLM_INFO}


class Played:
    def __init__(self, engine: Engine, running: Proxy) -> None:
        self.engine = engine
        self.running = running

    async def send(self, path: str = CHAT, body: bytes | None = None, **headers: str) -> aiohttp.ClientResponse:
        data = json.dumps(BODIES[path]).encode() if body is None else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.running.url + path, data=data, headers=named) as reply,
        ):
            await reply.read()
            return reply


class Play:
    """An engine, and a proxy in front of it."""

    def __init__(self, pages: dict[str, Any], kind: str = "sglang", **settings: Any) -> None:
        self._engine = Engine(pages)
        self._kind = kind
        self._settings = settings
        self._priority: int | None = settings.pop("admitted", 2)
        self._session: str = settings.pop("session", "s1")

    async def __aenter__(self) -> Played:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._engine.answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        runtime = Runtime(self._priority, self._session)
        self._proxy = proxy(port, runtime, kind=self._kind, backend={"load_poll_s": 0.0, **self._settings})
        running = await self._proxy.__aenter__()
        control = running.plane.lines.first.control
        control.doubt()
        assert control._watching is not None
        await control._watching
        return Played(self._engine, running)

    async def __aexit__(self, *raised: Any) -> None:
        await self._proxy.__aexit__(*raised)
        await self._runner.cleanup()


@pytest.mark.parametrize("path", BODIES)
async def test_every_api_that_has_a_place_for_it(path: str) -> None:
    async with Play(SGLANG) as played:
        await played.send(path)
        sent = played.engine.last
        if path == "/v1/messages":
            assert sent == BODIES[path]
            return
        assert sent.pop("priority") == 2
        assert len(sent.pop("request_id" if path == "/v1/responses" else "rid")) >= 32
        session = sent.get("session_id", "")
        assert session.endswith("-s1") == (path in (CHAT, "/v1/responses"))
        assert {**sent, "session_id": "mine"} == {**BODIES[path], "session_id": "mine"}


async def test_the_clients_own_bytes_stay_as_they_are() -> None:
    body = b' {"model" : "m",\n "messages":[{"role":"user","content":"\\u00e9"}], "priority": 7 }\n'
    async with Play(SGLANG) as played:
        await played.send(body=body)
        sent = played.engine.bodies[-1]
        assert body.strip()[1:-1] in sent
        assert sent.endswith(b' ,"priority":2}\n')
        assert played.engine.last["priority"] == 2


@pytest.mark.parametrize(
    ("pages", "settings"),
    [
        (PLAIN, {}),
        (PLAIN, {"priority": "on"}),
        (SGLANG, {"priority": "off", "session_radix": "off"}),
        ({"/model_info": {"model_path": "m"}}, {}),
    ],
)
async def test_nothing_is_added_that_is_not_verified_or_not_wanted(
    pages: dict[str, Any], settings: dict[str, Any]
) -> None:
    async with Play(pages, **settings) as played:
        await played.send(body=json.dumps(BODIES[CHAT] | {"priority": 7}).encode(), x_override_priority="3")
        sent = played.engine.last
        del sent["rid"]
        assert sent == BODIES[CHAT] | {"priority": 7}
        assert played.engine.heads[-1]["x-override-priority"] == "3"


async def test_a_field_that_would_go_before_ours_stays_here() -> None:
    async with Play(SGLANG) as played:
        await played.send(x_override_priority="100", x_paste_priority="3")
        assert "x-override-priority" not in played.engine.heads[-1]
        assert played.engine.heads[-1]["x-paste-priority"] == "3"
        assert played.running.runtime.admitted[-1][0].priority == 3


async def test_a_core_that_says_no_priority() -> None:
    async with Play(SGLANG, admitted=None, session="") as played:
        await played.send()
        assert set(played.engine.last) == {"rid", *BODIES[CHAT]}


@pytest.mark.parametrize("own", [{"session_id": "mine"}, {"session_params": {"id": "mine"}}])
async def test_who_names_a_session_to_the_engine_goes_on_doing_so(own: dict[str, Any]) -> None:
    async with Play(SGLANG) as played:
        await played.send(body=json.dumps(BODIES[CHAT] | own).encode())
        sent = played.engine.last
        assert {key: sent[key] for key in own} == own
        assert ("session_id" in sent) == ("session_id" in own)


async def test_what_is_asked_once_keeps_no_cache() -> None:
    async with Play(SGLANG) as played:
        await played.send(body=b'{"messages":[{"role":"user","content":"hi"}]}')
        assert "session_id" not in played.engine.last


async def test_a_session_that_is_over_is_told_where_it_was() -> None:
    async with Play(SGLANG) as played:
        await played.send()
        await played.send()
        name = played.engine.last["session_id"]
        played.running.plane.session_over("s1")
        played.running.plane.session_over("s1")
        played.running.plane.session_over("another")
        async with asyncio.timeout(SOON_S):
            while not played.engine.told:  # noqa: ASYNC110 - the server has no event to wait for
                await asyncio.sleep(0.001)
        assert played.engine.told == [("/close_session", {"session_id": name})]
        assert played.running.plane.counters.closes_sent == 1


async def test_an_engine_that_was_started_anew_without_session_tags_counts_for_nothing() -> None:
    async with Play(SGLANG) as played:
        await played.send()
        assert "session_id" in played.engine.last
        plane = played.running.plane
        plane.lines.serving.control.abilities = NO_ABILITIES
        plane.session_over("s1")
        assert plane.counters.closes_sent == 0


async def test_a_session_that_was_let_go_and_comes_again_is_named_again() -> None:
    async with Play(SGLANG) as played:
        await played.send()
        name = played.engine.last["session_id"]
        for closes in (1, 2):
            played.running.plane.let_go("s1")
            async with asyncio.timeout(SOON_S):
                while len(played.engine.told) < closes:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.001)
            assert played.engine.told[-1] == ("/close_session", {"session_id": name})
            assert played.running.plane.counters.closes_sent == closes
            await played.send()
            assert played.engine.last["session_id"] == name


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_vllm_hears_of_it_in_a_field_where_the_body_has_no_place(path: str) -> None:
    async with Play(VLLM, "vllm", admitted=vllm.BAND.soonest) as played:
        await played.send(path, x_vllm_priority="100")
        in_body = played.engine.last.get("priority")
        in_head = played.engine.heads[-1].getall("x-vllm-priority", [])
        assert (in_body, in_head) == ((-5, []) if path == CHAT else (None, ["-5"]))


URGENT = '"messages": [{"role": "user", "content": "hi"}], "priority": 1000000'
UNREADABLE = [
    b'{"messages": 1, "priority": 1000000}',
    b'{%b, "x": NaN} \r\n' % URGENT.encode(),
    b'{%b, "x": "\\ud800"}' % URGENT.encode(),
    b"\xef\xbb\xbf\n{%b}" % URGENT.encode(),
    b"{}",
    b" { }\t",
]
"""For us. Python's `json.loads` reads it, and with it SGLang and vLLM."""
WIDE = [f"{{{URGENT}}}".encode(code) for code in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")]
NO_OBJECT = [b"[1]", b'"}"', b"{", b'{"priority": 3} x', b"1", b"\xef\xbb\xbf", b"x{}"]


@pytest.mark.parametrize("body", UNREADABLE)
async def test_what_can_not_be_read_brings_no_priority_that_was_not_granted(body: bytes) -> None:
    async with Play(SGLANG) as played:
        await played.send(body=body, x_override_priority="100")
        assert played.running.runtime.admitted[-1][1] is None, "it can be read"
        assert played.engine.last["priority"] == 2
        assert played.engine.bodies[-1].startswith(body.rstrip()[:-1])
        assert "x-override-priority" not in played.engine.heads[-1]
    async with Play(VLLM, "vllm", admitted=vllm.BAND.soonest) as played:
        await played.send(body=body, x_vllm_priority="-100")
        assert played.engine.last["priority"] == -5
        assert "x-vllm-priority" not in played.engine.heads[-1]


@pytest.mark.parametrize("body", WIDE)
async def test_a_body_that_has_no_place_for_our_priority_is_refused_where_it_would_need_one(
    body: bytes,
) -> None:
    async with Play(SGLANG) as played:
        reply = await played.send(body=body)
        assert (reply.status, played.engine.bodies) == (400, [])
        assert "send it in UTF-8" in (await reply.json())["error"]["message"]
        await asyncio.wait_for(played.running.runtime.turns[-1].closed, SOON_S)
        await played.send("/v1/messages", body=body)
        assert played.engine.bodies == [body], "no priority is read there"
    async with Play(PLAIN) as played:
        await played.send(body=body)
        assert played.engine.bodies == [body]


@pytest.mark.parametrize("body", NO_OBJECT)
async def test_what_is_no_object_stays_as_it_is(body: bytes) -> None:
    async with Play(SGLANG) as played:
        await played.send(body=body)
        assert played.engine.bodies == [body]
    async with Play(VLLM, "vllm", admitted=vllm.BAND.soonest) as played:
        await played.send(body=body, x_vllm_priority="-100")
        assert played.engine.bodies == [body]
        assert played.engine.heads[-1].getall("x-vllm-priority") == ["-5"]


async def test_the_core_hears_how_long_a_body_is() -> None:
    async with Play(SGLANG) as played:
        await played.send(body=UNREADABLE[1])
        assert played.running.runtime.sizes == [len(UNREADABLE[1])]


async def test_vllms_own_numbers_count_the_other_way() -> None:
    async with Play(VLLM, "vllm") as played:
        await played.send(x_vllm_priority="-4")
        assert played.running.runtime.admitted[-1][0].priority == 4


def test_priorities_are_on_unless_they_are_not_wanted() -> None:
    assert (BackendConfig().priority, BackendConfig().session_radix) == ("auto", "auto")


@given(
    members=st.dictionaries(st.text(), st.integers() | st.text() | st.dictionaries(st.text(), st.text())),
    space=st.sampled_from(["", " \n\t"]),
    number=st.integers(),
)
def test_splicing_adds_members_and_nothing_else(members: dict[str, object], space: str, number: int) -> None:
    members["messages"] = "}{"
    body = (space + json.dumps(members) + space).encode()
    added = spliced(body, [("session_id", b'"s"')], [("priority", b"%d" % number)])
    assert json.loads(added) == {"session_id": "s", **members, "priority": number}
    assert body.strip()[1:-1] in added
    assert spliced(body, [], []) is body


JSON = st.recursive(
    st.none() | st.floats() | st.text(st.characters(), max_size=5) | st.integers(-9, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    value=JSON,
    escaped=st.booleans(),
    space=st.sampled_from(["", " ", "\r\n\t"]),
    code=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]),
)
def test_no_object_that_python_reads_keeps_a_priority_of_its_own(
    value: object, escaped: bool, space: str, code: str
) -> None:
    text = f"{space}{json.dumps(value, ensure_ascii=escaped)}{space}"
    body = text.encode(code, "surrogatepass")
    if code.startswith(("utf-16", "utf-32")):
        with pytest.raises(RequestError):
            is_object(body)
        return
    assert is_object(body) == isinstance(value, dict)
    if isinstance(value, dict):
        read = json.loads(spliced(body, [], [("priority", b"7")]))
        assert repr(read) == repr({**json.loads(body), "priority": 7})
