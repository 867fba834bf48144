"""The demo's tools over the real plugins: sizes, references, times, the access log."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from paste_proxy.errors import ToolError
from paste_proxy.lab.records import ServiceSpan
from paste_proxy.lab.remote import RemoteOptions, Service, plugin
from paste_proxy.lab.sizes import OPEN, READ, SEARCH, Sizes, drawn_by
from paste_proxy.lab.workload import Workload
from paste_proxy.tools import Effect


@pytest.fixture
async def service(workload: Workload) -> AsyncIterator[Service]:
    service = Service(Sizes(workload))
    yield service
    await service.close()


async def test_results_can_be_opened(service: Service, workload: Workload) -> None:
    found = await service.search("json decode string", 10)
    addresses = [result["address"] for result in found["results"]]
    assert len(addresses) == len(set(addresses)) == 10
    assert all("?ref=" in address for address in addresses)
    address = next(address for address in addresses if "json" in address)
    page = await service.open(address)
    assert "json" in page
    assert len(page) <= Sizes(workload).result(OPEN, {"address": address}) * 4
    with pytest.raises(ToolError, match="no such name"):
        await service.open("pydoc://json.nothing?ref=1")


async def test_files_are_cut_to_the_drawn_size(service: Service, workload: Workload) -> None:
    arguments = {"path": "typing.py"}
    assert len(await service.read(**arguments)) == Sizes(workload).result(READ, arguments) * 4


async def test_an_error_reads_as_the_gateway_sends_it(service: Service) -> None:
    answer = msgspec.json.decode(await service.answer(READ, {"path": "nowhere.py"}))
    assert answer["isError"] is True


def test_the_page_does_not_decide_how_long_it_takes() -> None:
    assert drawn_by(OPEN, {"address": "pydoc://json?ref=ab-1"}) == drawn_by(
        OPEN, {"address": "pydoc://x?ref=ab-1"}
    )
    assert drawn_by(OPEN, {"address": "pydoc://json"}) == "pydoc://json"


async def test_a_call_takes_the_drawn_time_and_is_logged(tmp_path: Path, workload: Workload) -> None:
    log = tmp_path / "access.jsonl"
    tools = {tool.spec.name: tool for tool in plugin(RemoteOptions(time_scale=0.01, log=str(log)))}
    begun = time.monotonic()
    await tools[READ]("abc.py")
    stated = Sizes(workload).seconds(READ, {"path": "abc.py"}) * 0.01
    assert stated <= time.monotonic() - begun
    (span,) = [msgspec.json.decode(line, type=ServiceSpan) for line in log.read_bytes().splitlines()]
    assert (span.tool, span.subject, span.finished) == (READ, "abc.py", True)
    assert span.end - span.start >= stated


def test_the_tools_may_run_ahead_with_the_stated_slots(workload: Workload) -> None:
    specs = {tool.spec.name: tool.spec for tool in plugin(RemoteOptions())}
    assert {name: spec.concurrency for name, spec in specs.items()} == {
        SEARCH: workload.tool_slots.search,
        OPEN: workload.tool_slots.open,
        READ: workload.tool_slots.open,
    }
    assert {spec.effect for spec in specs.values()} == {Effect.READ}
