"""Runs on an MCP server, well behaved or not."""

import asyncio
import json
import logging
import os
import signal
from typing import Any

import pytest

from paste_proxy.errors import ResultTooLargeError, ToolError
from paste_proxy.tools.ports import Progress, RunClass
from tests.tools.mcp.support import fake, shop

AHEAD = RunClass.SPECULATIVE


async def test_arguments_and_text_pass() -> None:
    async with shop(fake()) as opened:
        arguments: dict[str, Any] = {"text": "grüße\n", "n": 12345678901234567890123, "f": 1.0, "none": None}
        assert json.loads(await opened.text("echo", **arguments)) == arguments


async def test_what_rest_can_not_say_is_kept_for_mcp() -> None:
    async with shop(fake()) as opened:
        output = await opened.call("rich")
        assert not output.is_text
        assert json.loads(output.body) == {"n": None, "big": 12345678901234567890, "f": 1.0}
        whole = json.loads(output.mcp or b"")
        assert [part["type"] for part in whole["content"]] == ["text", "image", "resource_link"]
        assert whole["_meta"] == {"theirs": 1}
        pair = await opened.call("pair")
        assert (pair.body, pair.is_text) == (b"one\ntwo", True)
        assert pair.mcp is not None
        assert (await opened.call("nothing")).body == b""


async def test_an_error_of_the_tool_is_one_and_keeps_its_form() -> None:
    async with shop(fake()) as opened:
        with pytest.raises(ToolError, match=r"^no such page$") as caught:
            await opened.call("fail")
        assert json.loads(caught.value.mcp or b"")["isError"] is True


@pytest.mark.parametrize(
    ("tool", "reason"),
    [
        ("refuse", r"answered with an error: text: too short \(-32602\)"),
        ("shapeless", "is no result of a tool: content: Input should be a valid list"),
        ("die", "may have run or not: it ended with code 3; it last said: the disk is on fire"),
        ("malformed", "it sent what is no JSON-RPC message"),
    ],
)
async def test_a_fault_of_the_server_is_a_clear_error(tool: str, reason: str) -> None:
    async with shop(fake()) as opened:
        with pytest.raises(ToolError, match=reason):
            await opened.call(tool)
        assert await opened.text("echo") == "{}"


async def test_results_and_messages_are_bounded() -> None:
    async with shop(fake()) as opened:
        with pytest.raises(ResultTooLargeError, match="its limit is 16777216"):
            await opened.call("huge", text=str(17 * 2**20))
        assert await opened.text("pid")
        with pytest.raises(ToolError, match="a message of more than 25165824 bytes"):
            await opened.call("huge", text=str(30 * 2**20))
        assert await opened.text("echo") == "{}"


async def test_a_second_answer_and_a_printed_line_are_nobodys_result(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with shop(fake()) as opened:
        assert await opened.text("twice") == "first"
        assert await opened.text("print") == "{}"
        assert "MCP server fake says: loading the model ..." in caplog.messages


async def test_progress_is_told() -> None:
    async with shop(fake()) as opened:
        await opened.call("progress")
        assert opened.progress == [Progress(1, 2, "step 1"), Progress(2, 2, "step 2")]


async def test_a_cancelled_run_is_cancelled_at_the_server(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with shop(fake()) as opened:
        begun = asyncio.Event()
        run = asyncio.ensure_future(opened.call("hang", begun=begun.set))  # noqa: TID251
        await begun.wait()
        await asyncio.sleep(0.05)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert await opened.text("echo") == "{}"
    assert any("says: cancelled: " in message for message in caplog.messages)


async def test_a_killed_server_is_started_again_and_calls_wait_for_it() -> None:
    async with shop(fake(read=("pid",), stateful=False)) as opened:
        first = await opened.text("pid")
        before = opened.executor.fingerprint("pid", {})
        os.kill(int(first), signal.SIGKILL)
        with pytest.raises(ToolError, match="it was ended by SIGKILL"):
            await opened.text("pid")
        assert await opened.text("pid") not in ("", first)
        assert opened.executor.fingerprint("pid", {}) != before
        assert len(opened.offers) == 1


async def test_a_server_that_is_gone_is_said_to_be_at_once() -> None:
    async with shop(fake(env={"FAKE_TOOLS": "no JSON"})) as opened:
        with pytest.raises(ToolError, match="its server does not offer it"):
            await opened.call("echo")
        with pytest.raises(Exception, match=r"it ended with code 1; it last said: json.decoder"):
            await opened.upstream.authoritative.session()
        assert opened.offers == []


async def test_a_command_that_can_not_be_started_says_why() -> None:
    config = fake()
    missing = type(config)(command="/nowhere/server")
    async with shop(missing) as opened:
        with pytest.raises(Exception, match=r"'/nowhere/server' can't be started.*No such file"):
            await opened.upstream.authoritative.session()


async def test_runs_ahead_have_a_session_of_their_own() -> None:
    async with shop(fake(read=("count", "pid"), stateful=False)) as opened:
        assert [await opened.text("count", AHEAD) for _ in range(3)] == ["1", "2", "3"]
        assert await opened.text("count") == "1"
        assert await opened.text("pid") != await opened.text("pid", AHEAD)


async def test_of_a_stateful_server_nothing_runs_ahead() -> None:
    async with shop(fake(read=("count",))) as opened:
        assert opened.upstream.ahead is None
        with pytest.raises(ToolError, match="nothing of its server runs ahead"):
            await opened.call("count", AHEAD)
        assert await opened.text("count") == "1"


async def test_a_run_ahead_does_not_wait_for_a_server_that_is_down() -> None:
    async with shop(fake(read=("pid",), stateful=False)) as opened:
        os.kill(int(await opened.text("pid", AHEAD)), signal.SIGKILL)
        with pytest.raises(ToolError):
            await opened.text("pid", AHEAD)
        with pytest.raises(ToolError, match="is not there: it is being started"):
            await opened.text("pid", AHEAD)


async def test_who_asks_back_while_it_runs_ahead_is_aborted_and_never_runs_ahead_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with shop(fake(read=("ask", "echo"), stateful=False)) as opened:
        with pytest.raises(ToolError, match="asked for something that nobody can give ahead"):
            await opened.call("ask", AHEAD)
        assert opened.specs["ask"].effect.value == "never"
        assert opened.specs["echo"].effect.value == "read"
        assert "sampling/createMessage while ask ran ahead" in caplog.text


async def test_who_asks_back_in_a_real_call_is_refused() -> None:
    async with shop(fake()) as opened:
        error = json.loads(await opened.text("ask"))
        assert error["code"] == -32601
        assert "a proxy, without a model" in error["message"]


async def test_a_server_sees_little_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "hunter2")
    async with shop(fake(env={"GIVEN": "1"})) as opened:
        seen = json.loads(await opened.text("environment"))
        assert seen["GIVEN"] == "1"
        assert "SECRET_KEY" not in seen


async def test_a_stubborn_server_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paste_proxy.tools.mcp.process.EXIT_GRACE_S", 0.1)
    monkeypatch.setattr("paste_proxy.tools.mcp.process.TERM_GRACE_S", 0.1)
    async with shop(fake(env={"STUBBORN": "1"})) as opened:
        pid = int(await opened.text("pid"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_what_a_server_leaves_behind_holds_nothing_up() -> None:
    """A daemon of its own session has inherited the pipes."""
    async with shop(fake()) as opened:
        left = int(await opened.text("leave"))
    os.kill(left, signal.SIGKILL)


async def test_a_longer_list_is_told() -> None:
    async with shop(fake()) as opened:
        await opened.call("grow")
        await opened.next_offer()
        assert await opened.text("grown") == "{}"
        assert "no tool" not in opened.specs


async def test_a_name_that_is_taken_gets_the_servers_before_it() -> None:
    async with shop(fake(), taken=frozenset({"echo"})) as opened:
        assert await opened.text("fake_echo") == "{}"
        assert opened.specs["fake_echo"].listed == {
            **(opened.specs["pid"].listed or {}),
            "name": "fake_echo",
            "description": "Does echo.",
        }
