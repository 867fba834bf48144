"""Turns between backends: transcripts of the core."""

from typing import Any

from paste_proxy.config import BackendConfig, Config
from paste_proxy.core import Core
from paste_proxy.events import (
    AdmitTurn,
    BackendDown,
    BackendDraining,
    BackendRemoved,
    BackendTold,
    BackendUp,
    Decision,
    Event,
    FailTurn,
    Identity,
    TurnClosed,
    TurnRefused,
    TurnRequested,
)
from paste_proxy.grammar.requests.chat import parse_chat_request
from paste_proxy.schedule.backends import BackendCapacity, BackendLoad
from paste_proxy.tools.table import ToolTable
from tests.broker.world import SPECS
from tests.test_runtime import Guesses


class Bench:
    def __init__(self, *backends: str, max_turns: int = 0, **config: Any) -> None:
        configs = {name: BackendConfig(url="http://x", max_turns=max_turns) for name in backends}
        self.core = Core(ToolTable(SPECS), Config(backends=configs, **config), Guesses())
        self.now = 0.0

    def tell(self, event: Event) -> list[Decision]:
        self.now += 1.0
        return self.core.handle(event, self.now)

    def ask(self, turn: str, session: str = "s") -> list[str]:
        body = b'{"model": "m", "messages": [{"role": "user", "content": "go %b"}]}' % turn.encode()
        event = TurnRequested(turn, Identity(session=session), parse_chat_request(body))
        return said(self.tell(event))

    def at(self, backend: str) -> str:
        """A session whose turns go there; none is left behind."""
        for number in range(99):
            [admitted] = self.ask("probe", f"s{number}")
            self.tell(TurnClosed("probe", complete=False))
            if admitted == f"probe to {backend}":
                return f"s{number}"
        raise AssertionError(backend)


def said(decisions: list[Decision]) -> list[str]:
    told = []
    for decision in decisions:
        match decision:
            case AdmitTurn(turn, backend):
                told.append(f"{turn} to {backend}")
            case FailTurn(turn):
                told.append(f"{turn} failed")
    return told


def test_one_backend_has_no_name() -> None:
    bench = Bench(backend=BackendConfig(max_turns=1))
    assert bench.ask("a") == ["a to "]
    assert bench.ask("b") == []
    assert said(bench.tell(TurnClosed("a", complete=True))) == ["b to "]
    assert said(bench.tell(TurnRefused("b"))) == ["b failed"]
    assert said(bench.tell(TurnClosed("b", complete=False))) == []


def test_each_backend_has_slots_of_its_own() -> None:
    bench = Bench("one", "two", max_turns=1)
    one, two = bench.at("one"), bench.at("two")
    assert bench.ask("a", one) == ["a to one"]
    assert bench.ask("b", one) == []
    assert bench.ask("c", two) == ["c to two"]
    assert said(bench.tell(TurnClosed("a", complete=True))) == ["b to one"]


def test_a_refused_turn_gives_its_slot_back_and_goes_on() -> None:
    bench = Bench("one", "two", max_turns=1)
    one = bench.at("one")
    assert bench.ask("a", one) == ["a to one"]
    assert said(bench.tell(TurnRefused("a"))) == ["a to two"]
    assert said(bench.tell(TurnRefused("a"))) == ["a failed"]
    assert said(bench.tell(TurnRefused("a"))) == []
    bench.tell(TurnClosed("a", complete=False))
    assert bench.ask("b", bench.at("one")) == ["b to one"]
    counts = bench.core.placing.counts
    assert (counts["one"].refused, counts["two"].refused, counts["two"].retries) == (1, 1, 1)
    assert [bench.core.placing.live(name) for name in ("one", "two")] == [1, 0]


def test_what_waits_for_a_backend_that_goes_down_moves_and_what_runs_stays() -> None:
    bench = Bench("one", "two", max_turns=1)
    one = bench.at("one")
    assert bench.ask("a", one) == ["a to one"]
    assert bench.ask("b", one) == []
    assert said(bench.tell(BackendDown("one"))) == ["b to two"]
    assert said(bench.tell(TurnClosed("a", complete=True))) == []
    assert bench.ask("c", one) == []
    assert said(bench.tell(BackendDown("two"))) in ([], ["c to one"])
    bench.tell(BackendUp("one"))
    assert bench.ask("d", "elsewhere") in ([], ["d to one"])


def test_a_turn_that_is_given_up_while_it_waits_leaves_nothing_behind() -> None:
    bench = Bench("one", "two", max_turns=1)
    one = bench.at("one")
    bench.ask("a", one)
    bench.ask("b", one)
    bench.tell(TurnClosed("b", complete=False))
    assert said(bench.tell(TurnClosed("a", complete=True))) == []
    assert bench.core.placing.live("one") == 0
    assert not bench.core.queue.under_way("turns:one")


def test_what_a_backend_says_of_others_counts() -> None:
    bench = Bench("one", "two")
    bench.tell(BackendTold("one", BackendLoad(running=8, waiting=3)))
    bench.tell(BackendUp("one", BackendCapacity(running=8)))
    spilled = {bench.ask(f"t{number}", f"new{number}")[0].partition(" ")[2] for number in range(5)}
    assert spilled == {"to two"}
    assert bench.core.placing.counts["two"].spills > 0
    bench.tell(BackendTold("one", BackendLoad()))
    assert bench.at("one")


def test_a_removed_backend_takes_nothing_any_more() -> None:
    bench = Bench("one", "two", max_turns=1)
    one = bench.at("one")
    bench.ask("a", one)
    bench.ask("b", one)
    assert said(bench.tell(BackendRemoved("one"))) == ["b to two"]
    bench.tell(TurnClosed("b", complete=True))
    assert said(bench.tell(TurnClosed("a", complete=True))) == []
    assert bench.ask("c", one) == ["c to two"]


def test_a_draining_backend_gets_no_new_session() -> None:
    bench = Bench("one", "two")
    bench.tell(BackendDraining("one", on=True))
    assert {bench.ask(f"t{number}", f"new{number}")[0].partition(" ")[2] for number in range(8)} == {"to two"}
    bench.tell(BackendDraining("one", on=False))
    assert bench.at("one")


def test_a_turn_without_a_session_goes_somewhere() -> None:
    bench = Bench("one", "two")
    assert said(bench.tell(TurnRequested("a", Identity(), None))) == ["a to one"]
    assert said(bench.tell(TurnRequested("b", Identity(), None))) == ["b to two"]
