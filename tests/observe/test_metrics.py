"""The figures: each authoritative call is counted once, and used and unused are what they say."""

from typing import Any

from paste_proxy.access.access import Access
from paste_proxy.broker.lifecycle import State
from paste_proxy.config import BackendConfig, Config
from paste_proxy.core import Core
from paste_proxy.events import BackendTold, BackendUp
from paste_proxy.observe.metrics import OUTCOMES, exposition, stats
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.lines import Lines
from paste_proxy.runtime import Runtime
from paste_proxy.schedule.backends import BackendCapacity, BackendLoad
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import SPECS
from tests.test_runtime import FakeExecutor, Guesses


def core() -> Core:
    return Core(ToolTable(SPECS), Config(), Guesses())


def test_used_is_reused_and_joined_but_never_promoted() -> None:
    one = core()
    one.broker.ledger.hits.update({"reused": 3, "joined": 2, "promoted": 7, "executed": 5, "decided": 4})
    one.broker.ledger.unused.update({"speculative": 10, "decided": 6})
    figures = stats(one)
    assert figures["hits"] == {
        "reused": 3,
        "joined": 2,
        "promoted": 7,
        "executed": 5,
        "warmed": 0,
        "decided": 4,
    }
    assert figures["speculations"]["used"] == 5
    assert figures["unused_per_used"] == 2.0
    assert figures["speculations"]["decided_unused"] == 6


def test_without_a_use_there_is_no_ratio() -> None:
    assert stats(core())["unused_per_used"] is None


def test_the_exposition_holds_every_outcome_from_the_start() -> None:
    one = core()
    clock: Any = None
    runtime = Runtime(one, FakeExecutor(), clock)
    access = Access(Config(), {}, lambda: 0.0)
    text = exposition(
        runtime,
        RelayCounters(tap_failures={'a "cause"': 2}),
        access,
        Lines(Config(), access, runtime.tell),
    ).decode()
    for outcome in OUTCOMES:
        assert f'paste_tool_calls_total{{outcome="{outcome}"}} 0.0' in text
    assert 'paste_backend_up{backend=""} 1.0' in text
    assert 'paste_tap_failures_total{cause="a \\"cause\\""} 2.0' in text


def test_states_of_the_ledger_are_those_of_the_life_cycle() -> None:
    one = core()
    one.broker.ledger.ended[State.EXPIRED.value] += 1
    assert stats(one)["speculations"]["ended"] == {"expired": 1}


def test_the_exposition_tells_of_each_backends_leases() -> None:
    config = Config(backends={name: BackendConfig(url=f"http://{name}") for name in "ab"})
    one = Core(ToolTable(SPECS), config, Guesses())
    clock: Any = None
    runtime = Runtime(one, FakeExecutor(), clock)
    one.handle(BackendUp("a", BackendCapacity(kv_tokens=1000)), 0.0)
    for _ in range(3):
        one.handle(BackendTold("b", BackendLoad(running=9)), 0.0)
    access = Access(config, {}, lambda: 0.0)
    lines = Lines(config, access, runtime.tell)
    text = exposition(runtime, RelayCounters(), access, lines).decode()
    assert 'paste_lease_budget_tokens{backend="a"} 1050.0' in text
    assert 'paste_account_overruled{backend="b"} 1.0' in text
    assert 'paste_leases_lost_total{backend="a"} 0.0' in text
