"""What a predictor answers is held to what the tools accept, before a slot is spent on it."""

from typing import Any

import msgspec
import pytest

from paste_proxy.config import Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.predict.model import Candidate
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import SPECS
from tests.guesses import Scripted, talk
from tests.talk import Talk

BOUNDED = {
    "type": "object",
    "properties": {
        "k": {"type": "integer", "minimum": 1, "maximum": 100},
        "order": {"enum": ["up", "down"]},
    },
    "required": ["k"],
}
REFUSED = (
    {"k": 10_000_000},
    {"k": 0},
    {"k": 2.5},
    {"k": "2"},
    {"k": None},
    {"k": 2, "order": "sideways"},
    {"order": "up"},
)


def offered(name: str) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": name, "parameters": BOUNDED}}]


def bounded_talk(*guesses: Candidate) -> Talk:
    spec = msgspec.structs.replace(SPECS["read_a"], parameters=BOUNDED)
    config = Config(speculation=SpeculationConfig(allow=("read_a",), min_service_s=0.0, candidates=9))
    return Talk(Core(ToolTable({"read_a": spec}), config, Scripted(*guesses)))


def guess(tool: str, arguments: dict[str, Any]) -> Candidate:
    return Candidate(tool, arguments, 0.9, "because", 0.9)


def expected(t: Talk) -> list[dict[str, Any]]:
    [session] = t.core.turns.sessions.values()
    return [one.arguments for one in session.predictions]


def test_a_guess_that_the_tool_would_refuse_starts_nothing() -> None:
    t = bounded_talk(*(guess("read_a", arguments) for arguments in (*REFUSED, {"k": 100, "order": "up"})))
    t.ask(tools=offered("read_a"))
    assert expected(t) == [{"k": 100, "order": "up"}]
    assert t.core.broker.live == 1


@pytest.mark.parametrize("arguments", [b'{"k": 10000000}', b'{"k": "2"}', b'{"k": 2, "order": "sideways"}'])
def test_a_call_of_the_agent_runs_whatever_the_schema_says(arguments: bytes) -> None:
    """Its tool refuses it, or does not: that is between the two."""
    t = bounded_talk()
    assert t.calls("read_a", arguments=arguments) == ["read_a authoritative"]


def test_in_the_shadow_the_client_s_schema_holds_for_the_tools_that_it_runs_itself() -> None:
    guesses = [guess("look", arguments) for arguments in (*REFUSED, {"k": 1})]
    t = talk(Scripted(*guesses[-3:]), "shadow", allow=())
    t.ask(tools=offered("look"))
    assert expected(t) == [{"k": 1}]


def test_a_schema_that_is_none_refuses_nothing() -> None:
    t = talk(Scripted(guess("look", {"k": 1})), "shadow", allow=())
    t.ask(tools=[{"type": "function", "function": {"name": "look", "parameters": {"type": "thing"}}}])
    assert expected(t) == [{"k": 1}]
