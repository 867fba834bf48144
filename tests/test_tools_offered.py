"""Tools that come and go while sessions use them: a server's list changes, a server goes away."""

import msgspec

from paste_proxy.config import Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.events import ToolsOffered
from paste_proxy.tools.spec import Effect, ToolSpec
from paste_proxy.tools.table import PLUGINS, ToolTable
from tests.broker.cast import SPECS
from tests.guesses import Scripted, guess, predictions, talk
from tests.talk import Talk


def offer(t: Talk, *without: str, **changed: ToolSpec) -> None:
    kept = {name: spec for name, spec in {**SPECS, **changed}.items() if name not in without}
    t.tell(ToolsOffered(PLUGINS, tuple(kept.values())))


def test_what_ran_ahead_with_a_tool_that_is_gone_is_void() -> None:
    t = talk(Scripted(guess(1), guess(1, "read_b")))
    t.ask()
    offer(t, "read_a")
    assert predictions(t) == [("read_a", 1, 0, "voided"), ("read_b", 1, 0, "running")]


def test_what_ran_ahead_with_a_tool_that_is_another_now_is_void() -> None:
    t = talk(Scripted(guess(1)))
    t.ask()
    offer(t, read_a=msgspec.structs.replace(SPECS["read_a"], description="reads elsewhere"))
    assert predictions(t) == [("read_a", 1, 0, "voided")]
    assert t.calls("read_a") == ["read_a authoritative"]


def test_a_tool_that_is_gone_since_the_request_neither_runs_ahead_nor_fails_the_turn() -> None:
    t = talk(Scripted(guess(1)))
    t.ask()
    offer(t, "read_a")
    assert t.seals("read_a") == []
    t.ends()
    assert t.core.turns.expectations.failures == 0
    assert t.core.broker.live == 0


def test_a_call_of_a_tool_that_is_gone_may_be_a_write() -> None:
    """Of whoever has it now nothing is known: nothing may run ahead until its result is back."""
    t = talk(Scripted())
    t.ask()
    offer(t, "read_a")
    t.seals("read_a")
    assert t.core.broker.open_scopes == 1
    t.ends()
    t.answers()
    t.ask()
    assert t.core.broker.open_scopes == 0


def test_a_call_of_a_tool_that_is_gone_is_refused() -> None:
    t = talk(Scripted())
    t.ask()
    offer(t, "read_a")
    assert t.calls("read_a") == []


def test_requests_mean_the_tools_that_there_are_now() -> None:
    t = talk(Scripted(), allow=["read_a", "read_b"])
    t.ask()
    t.ends()
    offer(t, "read_b")
    predictor = t.core.turns.expectations._predictor
    assert isinstance(predictor, Scripted)
    t.ask()
    assert predictor.tools == {"read_a"}
    t.ends()
    offer(t)
    t.ask()
    assert predictor.tools == {"read_a", "read_b"}


def test_a_tool_that_may_page_by_a_cursor_stays_home_until_the_operator_says_that_it_is_harmless() -> None:
    paging = msgspec.structs.replace(
        SPECS["read_a"], parameters={"type": "object", "properties": {"k": {}, "cursor": {"type": "string"}}}
    )
    for pages, effect in (((), Effect.NEVER), (("read_a",), Effect.READ)):
        speculation = SpeculationConfig(allow=("read_a",), pages=pages)
        t = Talk(Core(ToolTable(SPECS), Config(speculation=speculation), Scripted()))
        offer(t, read_a=paging)
        assert t.core.tools["read_a"].effect is effect
        assert t.core.broker.may_run_ahead("read_a") is (effect is Effect.READ)
