"""What a predictor may have a tool that reaches a network be told: the egress rule, in a session."""

import json
from typing import Any

import msgspec

from paste_proxy.config import Config, NetworkConfig, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.events import ToolsOffered
from paste_proxy.grammar.events import ArgumentSealed, CallOpened
from paste_proxy.predict.model import Candidate
from paste_proxy.tools.table import PLUGINS, ToolTable
from tests.broker.cast import SPECS
from tests.guesses import Scripted, guess
from tests.talk import Talk


def talk(*candidates: Candidate, mode: Any = "on", free: tuple[str, ...] = ()) -> Talk:
    outside = msgspec.structs.replace(SPECS["read_a"], network=True)
    speculation = SpeculationConfig(
        mode=mode,
        allow=("read_a", "read_b"),
        min_service_s=0.0,
        network={"read_a": NetworkConfig(free=free)},
    )
    tools = ToolTable({**SPECS, "read_a": outside})
    return Talk(Core(tools, Config(speculation=speculation), Scripted(*candidates)))


def test_what_stands_in_no_output_stays_here() -> None:
    t = talk(guess(17), guess(17, "read_b"))
    t.ask()
    [session] = t.core.turns.sessions.values()
    assert [one.tool for one in session.predictions] == ["read_b"]
    assert t.notes("kept back") == [{"tool": "read_a", "why": "k: copied from nowhere as a whole"}]
    assert t.core.turns.expectations.kept_back == 1


def test_what_a_result_says_as_a_whole_may_go() -> None:
    t = talk(guess(17))
    t.ask()
    t.seals("read_b")
    t.ends()
    t.messages.append({"role": "tool", "tool_call_id": "c1", "content": json.dumps({"found": [17, 18]})})
    t.ask()
    [session] = t.core.turns.sessions.values()
    assert [(one.tool, one.arguments) for one in session.predictions] == [("read_a", {"k": 17})]


def test_arguments_that_the_operator_frees_may_be_any_number() -> None:
    t = talk(guess(17), free=("k",))
    t.ask()
    assert t.core.broker.live == 1


def test_the_shadow_counts_nothing_that_would_not_run() -> None:
    t = talk(guess(17), guess(17, "read_b"), mode="shadow")
    t.ask()
    [session] = t.core.turns.sessions.values()
    assert [one.tool for one in session.predictions] == ["read_b"]


def test_what_the_model_wrote_for_one_call_says_nothing_of_the_next() -> None:
    t = talk()
    predictor = t.core.turns.expectations._predictor
    assert isinstance(predictor, Scripted)
    t.ask()
    t.hears(CallOpened(0, "c1", "read_a"), ArgumentSealed(0, ("k",), 17))
    t.seals("read_a", arguments='{"k": 17}')
    predictor.now_expected = [Candidate("read_a", {"k": 17, "other": 17}, 0.9, "", 0.9)]
    t.hears(CallOpened(1, "c2", "read_a"))
    assert t.notes("kept back")


def test_what_the_model_wrote_for_one_tool_is_not_told_to_another() -> None:
    """It writes a note; a guess must not carry that out of the house."""
    t = talk()
    predictor = t.core.turns.expectations._predictor
    assert isinstance(predictor, Scripted)
    t.ask()
    t.hears(CallOpened(0, "c1", "read_b"))
    predictor.now_expected = [Candidate("read_a", {"k": 17, "other": None}, 0.9, "", 0.9)]
    t.hears(ArgumentSealed(0, ("k",), 17))
    assert t.notes("kept back") == [{"tool": "read_a", "why": "k: copied from nowhere as a whole"}]
    assert t.core.broker.live == 0


def test_a_tool_that_came_later_keeps_to_what_the_operator_says_of_it() -> None:
    t = talk(guess(17))
    t.tell(ToolsOffered(PLUGINS, tuple(SPECS.values())))
    assert not SPECS["read_a"].network
    t.ask()
    assert t.notes("kept back") == [{"tool": "read_a", "why": "k: copied from nowhere as a whole"}]


def test_a_call_that_is_complete_is_no_guess() -> None:
    t = talk(guess(17))
    t.ask()
    assert t.seals("read_a", arguments='{"k": 17}') == ["read_a decided"]
