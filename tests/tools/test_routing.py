"""Each tool's runs go to the executor of who offered it."""

from collections.abc import Callable
from typing import Any

import pytest

from paste_proxy.errors import UnknownToolError
from paste_proxy.tools.ports import Output, Run, RunClass, RunContext
from paste_proxy.tools.routing import RoutingExecutor


class Named:
    def __init__(self, name: str) -> None:
        self.name = name
        self.told: list[str] = []

    async def run(self, run: Run, begun: Callable[[], None]) -> Output:
        begun()
        return Output(self.name.encode())

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> bytes | None:
        return self.name.encode()

    def promote(self, run: str) -> None:
        self.told.append(run)

    async def warm_up(self) -> None:
        self.told.append("warm up")

    async def close(self) -> None:
        self.told.append("close")


def run(tool: str) -> Run:
    return Run("run-1", tool, {}, RunContext("default", ""), RunClass.AUTHORITATIVE)


async def test_runs_and_fingerprints_follow_the_tool_wherever_it_is_now() -> None:
    source = {"a": "one", "b": "two"}
    routing = RoutingExecutor(lambda tool: source.get(tool, ""), {"one": Named("one"), "two": Named("two")})
    assert (await routing.run(run("a"), lambda: None)).body == b"one"
    assert routing.fingerprint("b", {}) == b"two"
    source["a"] = "two"
    assert (await routing.run(run("a"), lambda: None)).body == b"two"


async def test_a_tool_whose_server_is_gone_is_unknown() -> None:
    routing = RoutingExecutor(lambda _tool: "", {"one": Named("one")})
    with pytest.raises(UnknownToolError, match=r"'gone'.* its server is gone"):
        await routing.run(run("gone"), lambda: None)


async def test_all_are_warmed_up_promoted_and_closed() -> None:
    both = {"one": Named("one"), "two": Named("two")}
    routing = RoutingExecutor(lambda _tool: "one", both)
    await routing.warm_up()
    routing.promote("run-1")
    await routing.close()
    assert [one.told for one in both.values()] == [["warm up", "run-1", "close"]] * 2
