"""What is passed on, what waits, and what a fault of ours costs: nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from paste_proxy.client.calling import Calling
from paste_proxy.mcp_wrap.relay import Relay


class Waiting:
    """A call that is decided by the test: `kept` is a result that was there, None has the server run it."""

    def __init__(self) -> None:
        self.decision: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.asked: list[tuple[bytes, str]] = []
        self.ended: list[str] = []

    async def wait(self, arguments: bytes, alone: Callable[[], Awaitable[Any]], *, tool_call_id: str) -> Any:
        self.asked.append((arguments, tool_call_id))
        try:
            if (kept := await self.decision) is not None:
                return kept
            await alone()
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        self.ended.append("result")
        return None


class Ends:
    """Both ends of a relay, and its tools."""

    def __init__(self) -> None:
        self.agent: list[bytes] = []
        self.server: list[bytes] = []
        self.greetings: list[dict[str, Any]] = []
        self.lists: list[list[str]] = []
        self.broken = False
        self.waiting = Waiting()
        self.relay = Relay(self._to_agent, self._to_server, self)

    async def _to_agent(self, line: bytes) -> None:
        self.agent.append(line)

    async def _to_server(self, line: bytes) -> None:
        self.server.append(line)

    def greeted(self, greeting: dict[str, Any]) -> None:
        self.greetings.append(greeting)

    def listed(self, tools: list[dict[str, Any]]) -> None:
        self.lists.append([tool["name"] for tool in tools])
        if self.broken:
            raise RuntimeError("a defect")

    def calling(self, tool: str) -> Calling | None:
        return cast(Calling, self.waiting) if tool == "look" else None

    async def decides(self, kept: Any) -> None:
        self.waiting.decision.set_result(kept)
        await settled()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


CALL = b'{"jsonrpc":"2.0","id":"7","method":"tools/call","params":{"name":"look","arguments":{"a" : 1.0}}}\n'
CANCEL = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"7"}}\n'
ANSWER = b'{"jsonrpc":"2.0","id":"7","result":{"content":[]}}\n'


@pytest.fixture
async def ends() -> Ends:
    return Ends()


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"no JSON\n",
        b"\xff\n",
        b"[" * 100_000 + b"\n",
        b"[]\n",
        b'{"method": 5}\n',
        b'{"id": 1, "method": "tools/call"}\n',
        b'{"id": 1, "method": "tools/call", "params": {"name": "other"}}\n',
        b'{"method": "tools/call", "params": {"name": "look"}}\n',
        b'{"id": 1, "method": "tools/call", "params": {"name": 5}}\n',
        b'{"method": "notifications/cancelled", "params": {"requestId": 99}}\n',
        b'{"id": 4, "result": {}}\n',
    ],
)
async def test_what_is_nothing_of_ours_passes(ends: Ends, line: bytes) -> None:
    await ends.relay.from_agent(line)
    await ends.relay.from_server(line)
    assert (ends.server, ends.agent) == ([line], [line])


async def test_a_result_that_was_there_answers_under_the_agents_own_id(ends: Ends) -> None:
    await ends.relay.from_agent(CALL)
    assert ends.waiting.asked == [(b'{"a" : 1.0}', "")]
    await ends.decides({"content": []})
    assert ends.agent == [ANSWER]
    assert ends.server == []


@pytest.mark.parametrize(
    ("answer", "ended"),
    [
        (ANSWER, "result"),
        (b'{"jsonrpc":"2.0","id":"7","error":{"code":1,"message":"no"}}\n', "_NoResultError"),
        (b'{"jsonrpc":"2.0","id":"7","result":{"content":[],"isError":true}}\n', "_NoResultError"),
    ],
)
async def test_a_call_that_the_server_runs_passes_as_it_is(ends: Ends, answer: bytes, ended: str) -> None:
    await ends.relay.from_agent(CALL)
    await ends.decides(None)
    assert ends.server == [CALL]
    await ends.relay.from_server(answer.replace(b'"7"', b"7"))
    await settled()
    assert ends.waiting.ended == []
    await ends.relay.from_server(answer)
    await settled()
    assert ends.waiting.ended == [ended]
    assert ends.agent[-1] == answer


async def test_a_call_that_is_cancelled_while_it_waits_never_reaches_the_server(ends: Ends) -> None:
    await ends.relay.from_agent(CALL)
    await ends.relay.from_agent(CANCEL)
    await settled()
    assert ends.waiting.ended == ["CancelledError"]
    assert (ends.server, ends.agent) == ([], [])


async def test_a_call_that_is_cancelled_at_the_server_is_cancelled_there(ends: Ends) -> None:
    await ends.relay.from_agent(CALL)
    await ends.decides(None)
    await ends.relay.from_agent(CANCEL)
    await settled()
    assert ends.server == [CALL, CANCEL]
    assert ends.waiting.ended == ["CancelledError"]


async def test_a_second_call_of_an_id_in_use_is_the_servers_business(ends: Ends) -> None:
    await ends.relay.from_agent(CALL)
    await ends.relay.from_agent(CALL)
    assert ends.server == [CALL]
    assert len(ends.waiting.asked) == 1
    await ends.relay.close()


async def test_the_list_is_taken_in_page_by_page(ends: Ends) -> None:
    async def page(number: int, cursor: str, names: str, following: str) -> None:
        params = f'{{"cursor":"{cursor}"}}' if cursor else "{}"
        await ends.relay.from_agent(f'{{"id":{number},"method":"tools/list","params":{params}}}\n'.encode())
        more = f',"nextCursor":"{following}"' if following else ""
        tools = ",".join(f'{{"name":"{name}"}}' for name in names)
        await ends.relay.from_server(f'{{"id":{number},"result":{{"tools":[{tools}]{more}}}}}\n'.encode())

    await page(1, "", "ab", "x")
    assert ends.lists == []
    await page(2, "x", "c", "")
    await page(3, "", "d", "")
    assert ends.lists == [["a", "b", "c"], ["d"]]


async def test_the_greeting_is_told_once_the_session_is_open(ends: Ends) -> None:
    await ends.relay.from_agent(b'{"id":0,"method":"initialize","params":{"capabilities":{"roots":{}}}}\n')
    assert ends.greetings == []
    await ends.relay.from_agent(b'{"method":"notifications/initialized"}\n')
    assert ends.greetings == [{"capabilities": {"roots": {}}}]
    assert len(ends.server) == 2


async def test_a_defect_of_ours_costs_nobody_anything(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    ends.broken = True
    await ends.relay.from_agent(b'{"id":1,"method":"tools/list"}\n')
    await ends.relay.from_server(b'{"id":1,"result":{"tools":[{"name":"look"}]}}\n')
    assert len(ends.agent) == 1
    await ends.relay.from_agent(CALL)
    ends.waiting.decision.set_exception(RuntimeError("a defect"))
    await settled()
    assert ends.server[-1] == CALL
    assert "passed on without the proxy" in caplog.text
