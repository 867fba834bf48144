"""What a tool returns or raises becomes an output or an error, the same everywhere."""

import asyncio
import logging

import pytest

from paste_proxy.errors import InvalidArgumentsError, ResultTooLargeError, ToolError
from paste_proxy.tools import Perishable, RunContext, tool
from paste_proxy.tools.invoke import encode_result, invoke_async, invoke_sync, warm_up, warm_up_async
from paste_proxy.tools.loading import Registry

CONTEXT = RunContext("tenant", "session")


@tool(result_limit=20)
def subject() -> None: ...


@pytest.mark.parametrize(
    ("value", "body", "is_text"),
    [
        ("\u00e4", "\u00e4".encode(), True),
        ("", b"", True),
        (None, b"null", False),
        ({"b": 1, "a": 2}, b'{"a":2,"b":1}', False),
        ({"z", "y"}, b'["y","z"]', False),
        (10**9, b"1000000000", False),
    ],
)
def test_text_stays_text_and_all_else_is_json(value: object, body: bytes, is_text: bool) -> None:
    output = encode_result(subject, value)
    assert (output.body, output.is_text) == (body, is_text)


def test_a_result_may_say_how_long_it_may_be_kept() -> None:
    output = encode_result(subject, Perishable({"b": 1}, max_age=2))
    assert (output.body, output.is_text, output.max_age) == (b'{"b":1}', False, 2.0)
    assert encode_result(subject, Perishable("x", max_age=-1)).max_age == 0.0
    assert encode_result(subject, "x").max_age is None


def test_a_result_beyond_the_limit() -> None:
    assert encode_result(subject, "x" * 20).body == b"x" * 20
    with pytest.raises(ResultTooLargeError, match="the result has 21 bytes, the tool's result_limit is 20"):
        encode_result(subject, "x" * 21)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("says", "no such thing"),
        ("exits", "misbehave: SystemExit: 3"),
        ("interrupts", "misbehave: KeyboardInterrupt"),
        ("stops", "misbehave: StopIteration: x"),
        ("fails", "misbehave: ZeroDivisionError: division by zero"),
        ("unserialisable", "misbehave: the result can't be encoded: TypeError: "),
        ("surrogate", "misbehave: the result can't be encoded: UnicodeEncodeError: "),
    ],
)
def test_whatever_a_tool_raises_is_a_tool_error(registry: Registry, how: str, message: str) -> None:
    with pytest.raises(ToolError) as caught:
        invoke_sync(registry["misbehave"], CONTEXT, {"how": how})
    assert caught.value.message.startswith(message)


def test_an_exception_that_cannot_be_printed(registry: Registry) -> None:
    with pytest.raises(ToolError, match=r"UnprintableError: <exception str\(\) failed>"):
        invoke_sync(registry["misbehave"], CONTEXT, {"how": "unprintable"})


def test_the_traceback_goes_to_the_log_only(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ToolError) as caught:
        invoke_sync(registry["misbehave"], CONTEXT, {"how": "fails"})
    assert "Traceback" not in caught.value.message
    assert "Traceback" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_what_a_tool_says_on_purpose_is_not_logged(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ToolError):
        invoke_sync(registry["misbehave"], CONTEXT, {"how": "says"})
    assert not caplog.records


def test_a_tool_may_refuse_its_arguments() -> None:
    @tool
    def picky() -> None:
        raise InvalidArgumentsError("picky: $.path: not today", param="$.path")

    with pytest.raises(InvalidArgumentsError, match="not today"):
        invoke_sync(picky, CONTEXT, {})


@pytest.mark.parametrize("how", ["exits", "interrupts", "cancels", "fails"])
async def test_an_async_tool_takes_nothing_down_with_it(registry: Registry, how: str) -> None:
    with pytest.raises(ToolError, match="misbehave_async: "):
        await invoke_async(registry["misbehave_async"], CONTEXT, {"how": how})


async def test_cancelling_reaches_an_async_tool_and_its_result_is_dropped(registry: Registry) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(invoke_async(registry["swallow"], CONTEXT, {}))
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()


async def test_a_timeout_inside_a_tool_is_its_own() -> None:
    @tool
    async def patient() -> str:
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(60)
        except TimeoutError:
            return "waited long enough"
        return "never"

    assert (await invoke_async(patient, CONTEXT, {})).body == b"waited long enough"


async def test_a_warm_up_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise SystemExit(1)

    async def fail_async() -> None:
        raise ValueError("cold")

    @tool(warm=fail)
    def sync_tool() -> None: ...

    @tool(warm=fail_async)
    async def async_tool() -> None: ...

    with caplog.at_level(logging.WARNING):
        warm_up(sync_tool)
        await warm_up_async(async_tool)
    assert "tool sync_tool: its warm-up failed" in caplog.text
    assert "tool async_tool: its warm-up failed" in caplog.text
