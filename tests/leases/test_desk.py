"""The proxy's side of a client's connection, as a transcript."""

import json
from typing import Any

import msgspec
import pytest

from paste_proxy.client.protocol import Claim, Ended, Hello, ProtocolError, RunAhead
from paste_proxy.errors import ToolError
from paste_proxy.events import TellClient
from paste_proxy.leases.desk import CALLS_LIMIT, UNSENT_LIMIT, Claimed, Desk
from paste_proxy.leases.schemas import DEPTH, check_schema

TOOL = {"name": "read", "parameters": {"type": "object", "properties": {"k": {"type": "integer"}}}}


class Port:
    def __init__(self) -> None:
        self.told: list[Any] = []
        self.claimed: list[Claimed] = []

    def came(self, hello: Hello) -> None:
        self.told.append(("came", [tool.name for tool in hello.tools]))

    def claim(self, claim: Claim, claimant: Claimed) -> str:
        self.claimed.append(claimant)
        return f"call-{claim.call}"

    def admits(self, claim: Claim) -> str:
        return "too fast" if claim.tool_call_id == "late" else ""

    def leave(self, call: str) -> None:
        self.told.append(("leave", call))

    def began(self, run: str) -> None:
        self.told.append(("began", run))

    def ended(self, ended: Ended) -> None:
        self.told.append(("ended", ended.run))

    def unused(self, run: str) -> None:
        self.told.append(("unused", run))

    def gone(self) -> None:
        self.told.append("gone")

    def sent(self) -> None: ...


def hears(desk: Desk, kind: str, **fields: Any) -> None:
    desk.receive(msgspec.json.encode({"say": kind, **fields}))


def said(desk: Desk) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in desk.unsent()]


def greeted(*tools: dict[str, Any]) -> tuple[Desk, Port]:
    port = Port()
    desk = Desk(port)
    hears(desk, "hello", version=1, tools=list(tools) or [TOOL])
    return desk, port


def test_a_client_comes_calls_and_goes() -> None:
    desk, port = greeted()
    hears(desk, "claim", call=1, tool="read", arguments="{}")
    hears(desk, "began", run="r1")
    hears(desk, "ended", run="r1")
    hears(desk, "unused", run="r1")
    hears(desk, "leave", call=1)
    hears(desk, "leave", call=1)
    desk.close()
    desk.close()
    came, *rest = port.told
    assert came == ("came", ["read"])
    assert rest == [("began", "r1"), ("ended", "r1"), ("unused", "r1"), ("leave", "call-1"), "gone"]


def test_calls_that_wait_are_left_when_their_client_is_lost() -> None:
    desk, port = greeted()
    hears(desk, "claim", call=1, tool="read", arguments="{}")
    desk.close()
    assert port.told[1:] == ["gone", ("leave", "call-1")]
    desk.lease(RunAhead("r1", "read", msgspec.Raw(b"{}"), "s"))
    assert said(desk) == []


def test_what_becomes_of_a_call_is_told_by_its_number() -> None:
    desk, port = greeted()
    for number in (7, 8, 9):
        hears(desk, "claim", call=number, tool="read", arguments="{}")
    reused, joined, refused = port.claimed
    reused.told(TellClient("call-7", "reused", "r1", "s"))
    joined.told(TellClient("call-8", "joined", "r2", "s"))
    joined.told(TellClient("call-8", "executed", "r3", "s"))
    refused.refused(ToolError("no"))
    answers = [(one["call"], one["outcome"], one.get("run"), one.get("error")) for one in said(desk)]
    assert answers == [
        (7, "reused", "r1", ""),
        (8, "joined", "r2", ""),
        (8, "executed", "r3", ""),
        (9, "refused", "", "no"),
    ]
    joined.done()
    hears(desk, "claim", call=8, tool="read", arguments="{}")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"say": "claim", "call": 1, "tool": "read", "arguments": "{}"}, "must be `hello`"),
        ({"say": "hello", "version": 9, "tools": []}, "version 9"),
        ({"say": "hello", "version": 1, "tools": [TOOL, TOOL]}, "one name"),
        ({"say": "hello", "version": 1, "tools": [{**TOOL, "name": "a b"}]}, "name"),
        ({"say": "hello", "version": 1, "tools": [{**TOOL, "effect": "write"}]}, "effect"),
        ({"say": "hello", "version": 1, "tools": [{**TOOL, "max_age": -1}]}, "max_age"),
        ({"say": "welcome", "version": 1, "refused": {}}, "welcome"),
    ],
)
def test_what_must_not_be_said_ends_the_connection(message: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        Desk(Port()).receive(json.dumps(message))


def test_a_number_means_one_call_at_a_time_and_there_are_only_so_many() -> None:
    desk, _ = greeted()
    for number in range(CALLS_LIMIT):
        hears(desk, "claim", call=number, tool="read", arguments="{}")
    with pytest.raises(ProtocolError, match="waiting already"):
        hears(desk, "claim", call=0, tool="read", arguments="{}")
    hears(desk, "claim", call=CALLS_LIMIT, tool="read", arguments="{}")
    assert [one["outcome"] for one in said(desk)] == ["refused"]


def test_a_client_that_reads_nothing_is_slow_and_news_are_told_once() -> None:
    desk, _ = greeted()
    desk.welcome({"read": "no"})
    desk.welcome({"read": "no"})
    assert len(said(desk)) == 1
    for number in range(UNSENT_LIMIT + 1):
        assert not desk.is_slow
        desk.cancel(f"r{number}")
    assert desk.is_slow


def test_schemas_that_would_trip_the_core_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(DEPTH):
        deep = {"properties": {"x": deep}}
    for schema in (
        deep,
        {"type": "array"},
        {"properties": 3},
        {"properties": {"x": {"type": 7}}},
        {"required": "x"},
    ):
        assert check_schema(schema)
    assert check_schema({}) == check_schema(TOOL["parameters"]) == ""  # type: ignore[arg-type]


def test_a_tool_whose_schema_can_t_be_read_is_left_out_alone_and_told_so() -> None:
    odd = {"name": "odd", "parameters": {"type": "array"}}
    desk, port = greeted(TOOL, odd)
    assert port.told == [("came", ["read"])]
    assert [tool.name for tool in desk.tools] == ["read"]
    desk.welcome({"read": "not allowed"})
    [welcome] = said(desk)
    reason = "its parameters can't be used: not the schema of an object"
    assert welcome["refused"] == {"read": "not allowed", "odd": reason}
    hears(desk, "hello", version=1, tools=[TOOL])
    desk.welcome({})
    assert said(desk)[-1]["refused"] == {}


def test_a_call_that_is_one_too_many_is_run_without_the_proxy() -> None:
    desk, port = greeted()
    hears(desk, "claim", call=1, tool="read", arguments="{}", tool_call_id="late")
    [answer] = [one for one in said(desk) if one["say"] == "answer"]
    assert (answer["outcome"], answer["error"], port.claimed) == ("refused", "too fast", [])
