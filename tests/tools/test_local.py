"""Which tool runs where, warm-ups and fingerprints."""

import asyncio
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paste_proxy.config import PluginConfig
from paste_proxy.errors import InvalidArgumentsError, ToolError, UnknownToolError
from paste_proxy.tools import Effect, tool
from paste_proxy.tools.ahead import ahead_now
from paste_proxy.tools.loading import Registry, load_plugins
from paste_proxy.tools.local import LocalExecutor
from paste_proxy.tools.ports import Executor, Output, Run, RunContext
from tests.patience import SOON_S
from tests.tools.conftest import AUTHORITATIVE, SPECULATIVE, ignore, number_in, processes_of

MakeRun = Callable[..., Run]


def _value(output: Output) -> Any:
    return msgspec.json.decode(output.body)


async def test_sync_tools_run_here_when_asked_for_and_elsewhere_ahead(
    executor: LocalExecutor, make_run: MakeRun
) -> None:
    port: Executor = executor
    here = _value(await port.run(make_run("whoami", AUTHORITATIVE), ignore))
    ahead = _value(await port.run(make_run("whoami", SPECULATIVE), ignore))
    assert here["pid"] == os.getpid()
    assert ahead["pid"] != os.getpid()
    assert ahead["nice"] > here["nice"]


async def test_async_tools_run_here_always(executor: LocalExecutor, make_run: MakeRun) -> None:
    for run_class in (AUTHORITATIVE, SPECULATIVE):
        assert _value(await executor.run(make_run("whoami_async", run_class), ignore)) == os.getpid()


async def test_isolated_tools_never_run_here(executor: LocalExecutor, make_run: MakeRun) -> None:
    asked = _value(await executor.run(make_run("whoami_isolated", AUTHORITATIVE), ignore))
    ahead = _value(await executor.run(make_run("whoami_isolated", SPECULATIVE), ignore))
    assert len({asked["pid"], ahead["pid"], os.getpid()}) == 3
    assert asked["nice"] == os.getpriority(os.PRIO_PROCESS, 0) < ahead["nice"]


@pytest.mark.parametrize("how", ["says", "exits", "fails", "huge", "unserialisable", "set", "prints"])
async def test_nobody_can_tell_where_a_result_was_made(
    executor: LocalExecutor, make_run: MakeRun, how: str
) -> None:
    async def outcome(run: Run) -> object:
        try:
            return await executor.run(run, ignore)
        except ToolError as error:
            return type(error), error.message, error.param

    here = await outcome(make_run("misbehave", AUTHORITATIVE, how=how))
    assert here == await outcome(make_run("misbehave", SPECULATIVE, how=how))


@pytest.mark.parametrize("run_class", [AUTHORITATIVE, SPECULATIVE])
async def test_the_context_reaches_the_tool(executor: LocalExecutor, make_run: MakeRun, run_class: Any) -> None:
    assert _value(await executor.run(make_run("echo", run_class, value=1), ignore)) == ["tenant", "session", 1]


@pytest.mark.parametrize("run_class", [AUTHORITATIVE, SPECULATIVE])
async def test_arguments_are_checked_before_anything_starts(
    executor: LocalExecutor, make_run: MakeRun, run_class: Any
) -> None:
    with pytest.raises(InvalidArgumentsError, match="missing required field `value`"):
        await executor.run(make_run("echo", run_class), ignore)


async def test_an_unknown_tool_is_named(executor: LocalExecutor, make_run: MakeRun) -> None:
    with pytest.raises(UnknownToolError, match="unknown tool 'nope'"):
        await executor.run(make_run("nope"), ignore)


async def test_promote_reaches_the_process(executor: LocalExecutor, make_run: MakeRun, tmp_path: Path) -> None:
    pid, promoted = tmp_path / "pid", tmp_path / "promoted"
    run = make_run("touch_and_wait_for", SPECULATIVE, path=str(pid), other=str(promoted))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(executor.run(run, ignore))
        await number_in(pid)
        executor.promote(run.run)
        executor.promote("unknown")
        promoted.touch()
    if os.geteuid() == 0:
        assert _value(task.result())["nice"] == 0


@pytest.mark.parametrize("tool", ["whoami", "whoami_async", "whoami_isolated"])
@pytest.mark.parametrize("run_class", [AUTHORITATIVE, SPECULATIVE])
async def test_a_run_begins_once(executor: LocalExecutor, make_run: MakeRun, tool: str, run_class: Any) -> None:
    begun: list[str] = []
    for run in (make_run(tool, run_class), make_run(tool, run_class)):
        await executor.run(run, functools.partial(begun.append, run.run))
        assert begun.pop() == run.run
        assert begun == []


async def test_a_run_begins_after_the_warm_up_and_not_at_all_where_it_cannot(make_run: MakeRun) -> None:
    seen: list[str] = []

    @tool(warm=lambda: seen.append("warm"))
    def sync_tool(number: int) -> None:
        seen.append("run")

    executor = LocalExecutor(Registry([sync_tool]))
    with pytest.raises(InvalidArgumentsError):
        await executor.run(make_run("sync_tool"), lambda: seen.append("begun"))
    await executor.run(make_run("sync_tool", number=1), lambda: seen.append("begun"))
    await executor.close()
    with pytest.raises(ToolError, match="shutting down"):
        await executor.run(make_run("sync_tool", number=1), lambda: seen.append("begun"))
    assert seen == ["warm", "begun", "run"]


async def test_tools_are_closed_once_at_the_end_and_none_hinders_the_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    closed: list[str] = []

    async def shared() -> None:
        closed.append("shared")

    async def broken() -> None:
        raise OSError("no such luck")

    @tool(close=shared)
    async def one() -> None: ...

    @tool(close=shared)
    async def two() -> None: ...

    @tool(close=broken)
    async def three() -> None: ...

    await LocalExecutor(Registry([three, one, two])).close()
    assert closed == ["shared"]
    assert "tool three: its close failed" in caplog.text


async def test_the_way_out_knows_what_runs_ahead(make_run: MakeRun) -> None:
    @tool
    async def ahead() -> bool:
        return ahead_now() is not None

    executor = LocalExecutor(Registry([ahead]))
    for run_class, expected in ((SPECULATIVE, True), (AUTHORITATIVE, False)):
        assert _value(await executor.run(make_run("ahead", run_class), ignore)) is expected
    await executor.close()


@pytest.mark.parametrize("slots", [0, 1, 2])
async def test_a_joined_run_waits_behind_no_other(
    registry: Registry, make_run: MakeRun, tmp_path: Path, slots: int
) -> None:
    """All slots but one hang; the last is joined, and done. Asked-for runs have processes of their own."""
    executor = LocalExecutor(registry, workers=slots)
    hung = [
        asyncio.get_running_loop().create_task(executor.run(run, ignore))
        for number in range(slots - 1)
        for run in [make_run("backtrack", SPECULATIVE, path=str(tmp_path / str(number)))]
    ] + [
        asyncio.get_running_loop().create_task(executor.run(run, ignore))
        for run in [make_run("backtrack", AUTHORITATIVE, path=str(tmp_path / "asked"))]
    ]
    joined, asked = make_run("whoami", SPECULATIVE), make_run("whoami_isolated", AUTHORITATIVE)
    task = asyncio.get_running_loop().create_task(executor.run(joined, ignore))
    executor.promote(joined.run)
    async with asyncio.timeout(SOON_S):
        await asyncio.gather(task, executor.run(asked, ignore))
    assert not any(task.done() for task in hung)
    await executor.close()
    await asyncio.gather(*hung, return_exceptions=True)


async def test_processes_are_started_at_the_warm_up(executor: LocalExecutor) -> None:
    await executor.warm_up()
    async with asyncio.timeout(SOON_S):
        while len(processes_of(os.getpid())) < 3:  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.002)


async def test_no_process_is_started_for_tools_that_need_none() -> None:
    @tool(effect=Effect.READ)
    def in_no_plugin() -> None: ...

    executor = LocalExecutor(Registry([in_no_plugin]))
    await executor.warm_up()
    await asyncio.sleep(0)
    assert processes_of(os.getpid()) == set()
    await executor.close()


async def test_a_sync_tool_without_a_plugin_cannot_run_ahead(make_run: MakeRun) -> None:
    @tool(effect=Effect.READ)
    def here() -> str:
        return "here"

    executor = LocalExecutor(Registry([here]))
    assert (await executor.run(make_run("here"), ignore)).body == b"here"
    with pytest.raises(ToolError, match="declare it in a plugin"):
        await executor.run(make_run("here", SPECULATIVE), ignore)
    await executor.close()


async def test_the_warm_up_comes_once_and_before_the_first_run(make_run: MakeRun) -> None:
    seen: list[str] = []

    async def warm_async() -> None:
        await asyncio.sleep(0)
        seen.append("warm async")

    @tool(warm=lambda: seen.append("warm sync"))
    def sync_tool() -> None:
        seen.append("run sync")

    @tool(warm=warm_async)
    async def async_tool() -> None:
        seen.append("run async")

    executor = LocalExecutor(Registry([sync_tool, async_tool]))
    await asyncio.gather(
        executor.run(make_run("sync_tool"), ignore), executor.run(make_run("sync_tool"), ignore)
    )
    await executor.warm_up()
    await executor.run(make_run("async_tool"), ignore)
    assert seen == ["warm sync", "run sync", "run sync", "warm async", "run async"]
    await executor.close()


WARM = """
from paste_proxy.tools import Effect, tool
state = []

@tool(effect=Effect.READ, isolated=True, warm=lambda: state.append("warm"))
def look() -> list[str]:
    return state

@tool(effect=Effect.READ, isolated=True, warm=lambda: 1 / 0)
def cold() -> str:
    return "works all the same"
"""


async def test_an_isolated_tool_is_warmed_up_in_its_process(tmp_path: Path, make_run: MakeRun) -> None:
    (tmp_path / "warm.py").write_text(WARM)
    executor = LocalExecutor(load_plugins([PluginConfig(path=str(tmp_path / "warm.py"))]), workers=1)
    await executor.warm_up()
    for _ in range(2):
        assert _value(await executor.run(make_run("look"), ignore)) == ["warm"]
    assert (await executor.run(make_run("cold"), ignore)).body == b"works all the same"
    await executor.close()


async def test_a_warm_up_that_finds_no_process_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    @tool(isolated=True, warm=lambda: None)
    def lost() -> None: ...

    executor = LocalExecutor(Registry([lost]))
    with pytest.raises(ToolError, match="declare it in a plugin"):
        await executor.warm_up()
    await executor.close()


def test_fingerprints_are_equal_while_nothing_changes() -> None:
    world = {"a": 1}

    @tool(effect=Effect.READ, fingerprint=lambda name, again: {name: world[name]})
    def read(name: str, again: bool = False) -> int:
        return world[name]

    @tool(effect=Effect.READ)
    def plain() -> None: ...

    executor = LocalExecutor(Registry([read, plain]))
    first = executor.fingerprint("read", {"name": "a"})
    assert first is not None
    assert executor.fingerprint("read", {"name": "a", "again": False}) == first
    world["a"] = 2
    assert executor.fingerprint("read", {"name": "a"}) != first
    assert executor.fingerprint("plain", {}) is None


def test_a_fingerprint_that_fails_equals_no_other() -> None:
    @tool(effect=Effect.READ, fingerprint=lambda name: 1 / 0)
    def read(name: str) -> None: ...

    executor = LocalExecutor(Registry([read]))
    taken = [executor.fingerprint("read", {"name": "a"}), executor.fingerprint("read", {"name": 3})]
    taken += [executor.fingerprint("read", {}), executor.fingerprint("read", {"name": "a"})]
    assert None not in taken
    assert len(set(taken)) == len(taken)


async def test_what_prepares_a_call_runs_ahead_in_its_place(
    executor: LocalExecutor, make_run: MakeRun, tmp_path: Path
) -> None:
    file = tmp_path / "notes"
    ahead = await executor.run(make_run("note", SPECULATIVE, path=str(file)), ignore)
    assert ahead.body == b"", "what it returns is no result"
    asked = await executor.run(make_run("note", AUTHORITATIVE, path=str(file)), ignore)
    [first, second, _] = file.read_text().split(";")
    assert asked.body == b"done"
    assert first.startswith("ahead ")
    assert second == f"run {os.getpid()}"
    assert first != f"ahead {os.getpid()}", "it can be stopped, so it is in a process of its own"
    with pytest.raises(ToolError, match="there is no tea"):
        await executor.run(make_run("order", SPECULATIVE, item="tea"), ignore)


async def test_what_prepares_an_async_tool_runs_where_the_tool_does(make_run: MakeRun) -> None:
    warmed: list[str] = []

    async def connect(context: RunContext, host: str) -> None:
        warmed.append(f"{context.session} {host}")

    @tool(effect="warm", ahead=connect)
    async def ask(context: RunContext, host: str) -> list[str]:
        return [*warmed, context.tenant]

    executor = LocalExecutor(Registry([ask]))
    assert (await executor.run(make_run("ask", SPECULATIVE, host="a"), ignore)).body == b""
    assert _value(await executor.run(make_run("ask", AUTHORITATIVE, host="a"), ignore)) == [
        "session a",
        "tenant",
    ]
    await executor.close()
