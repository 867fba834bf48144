"""Turns between backends: transcripts of the core."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.config import BackendConfig, Config
from paste_proxy.core import Core
from paste_proxy.events import (
    AccountOverruled,
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
    TimePassed,
    TurnClosed,
    TurnRefused,
    TurnRequested,
    TurnSent,
    TurnStreamed,
)
from paste_proxy.grammar.events import Usage, UsageReported
from paste_proxy.grammar.requests.chat import parse_chat_request
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.tap import Failures, Tap
from paste_proxy.schedule.backends import BackendCapacity, BackendLoad
from paste_proxy.schedule.joint import COLD_TOKENS, READ_S
from paste_proxy.tools.table import ToolTable
from paste_proxy.turn_handle import TurnHandle
from tests.broker.cast import SPECS
from tests.test_runtime import Guesses


class Bench:
    def __init__(self, *backends: str, max_turns: int = 0, **config: Any) -> None:
        configs = {name: BackendConfig(url="http://x", max_turns=max_turns) for name in backends}
        self.core = Core(ToolTable(SPECS), Config(backends=configs, **config), Guesses())
        self.now = 0.0

    def tell(self, event: Event) -> list[Decision]:
        self.now += 1.0
        return self.core.handle(event, self.now)

    def ask(self, turn: str, session: str = "s", more: str = "", *, stream: bool = False) -> list[str]:
        messages = [{"role": "user", "content": f"go {turn}{more}"}]
        body = json.dumps({"model": "m", "messages": messages, "stream": stream}).encode()
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


class Told:
    """The bench as a turn's handle tells it."""

    def __init__(self, bench: Bench) -> None:
        self.core = bench.core
        self._bench = bench

    def tell(self, event: Event) -> bool:
        self._bench.tell(event)
        return True

    async def admit_again(self, _turn: str) -> AdmitTurn | None:
        raise AssertionError("the transcript refuses turns itself")


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


BACKENDS = ("one", "two", "three")
steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "refuse", "close", "up", "down", "drain", "undrain", "remove"]),
        st.integers(0, 5),
        st.sampled_from(BACKENDS),
    ),
    max_size=60,
)


class Story:
    """What the shell knows of turns, held against what the core says."""

    def __init__(self) -> None:
        self.bench = Bench(*BACKENDS, max_turns=2)
        self.turns: dict[str, str | None] = {}
        """The backend that a turn was sent to last; None: it waits; "": it failed."""
        self.tried: dict[str, set[str]] = {}
        self.gone: set[str] = set()

    def hear(self, event: Event) -> None:
        for decision in self.bench.tell(event):
            if isinstance(decision, AdmitTurn):
                assert self.turns[decision.turn] is None
                assert decision.backend not in self.tried[decision.turn], "who refused is not asked again"
                self.turns[decision.turn] = decision.backend
            elif isinstance(decision, FailTurn):
                self.turns[decision.turn] = ""

    def ask(self, turn: str, session: str) -> None:
        self.turns[turn], self.tried[turn] = None, set()
        body = b'{"model": "m", "messages": [{"role": "user", "content": "%b"}]}' % turn.encode()
        self.hear(TurnRequested(turn, Identity(session=session), parse_chat_request(body)))

    def refuse(self, turn: str) -> None:
        if backend := self.turns.get(turn):
            self.tried[turn].add(backend)
            self.turns[turn] = None
            self.hear(TurnRefused(turn))

    def close(self, turn: str) -> None:
        if turn in self.turns:
            del self.turns[turn]
            self.hear(TurnClosed(turn, complete=False))

    def happen(self, what: str, backend: str) -> None:
        """To a backend; one stays at least."""
        if what == "remove" and len(self.gone | {backend}) < len(BACKENDS):
            self.gone.add(backend)
            self.hear(BackendRemoved(backend))
        elif what in ("drain", "undrain"):
            self.hear(BackendDraining(backend, on=what == "drain"))
        elif what in ("up", "down") and backend not in self.gone:
            self.hear(BackendUp(backend) if what == "up" else BackendDown(backend))


@given(steps)
def test_a_turn_is_at_one_backend_at_a_time_and_leaves_nothing_behind(tale: list[tuple[str, int, str]]) -> None:
    story = Story()
    for number, (what, pick, backend) in enumerate(tale):
        turns = sorted(story.turns)
        turn = turns[pick % len(turns)] if turns else ""
        if what == "ask":
            story.ask(f"t{number}", f"s{pick}")
        elif what == "refuse":
            story.refuse(turn)
        elif what == "close":
            story.close(turn)
        else:
            story.happen(what, backend)
        running = [one for one in story.turns.values() if one]
        assert all(running.count(one) <= 2 for one in BACKENDS)
    for turn in sorted(story.turns):
        story.close(turn)
    core = story.bench.core
    assert [core.placing.live(one) for one in BACKENDS] == [0, 0, 0]
    assert [core.queue.under_way(f"turns:{one}") for one in BACKENDS] == [0, 0, 0]


def overruled(decisions: list[Decision]) -> list[tuple[str, bool]]:
    return [(one.backend, one.overruled) for one in decisions if isinstance(one, AccountOverruled)]


def test_a_backend_with_other_users_overrules_the_account_and_both_moments_are_told() -> None:
    bench = Bench("one", "two")
    lies = BackendTold("one", BackendLoad(running=9))
    assert [overruled(bench.tell(lies)) for _ in range(4)] == [[], [], [("one", True)], []]
    assert bench.core.pacing.facts_of("one").overruled
    assert not bench.core.pacing.facts_of("two").overruled
    assert overruled(bench.tell(BackendTold("one", None))) == [("one", False)], "it tells nothing any more"
    assert overruled(bench.tell(BackendTold("one", None))) == []


def test_with_a_backend_that_is_down_leases_on_its_memory_end() -> None:
    bench = Bench("one", "two")
    one = bench.at("one")
    bench.ask("a", one)
    bench.tell(TurnClosed("a", complete=False))
    bench.tell(BackendUp("one", BackendCapacity(kv_tokens=1000)))
    bench.ask("b", one)
    bench.tell(TurnSent("b"))
    bench.tell(TurnClosed("b", complete=False))
    assert bench.core.pacing.facts_of("one").leased
    bench.tell(BackendDown("one"))
    assert not bench.core.pacing.facts_of("one").leased
    assert bench.ask("c", one) == ["c to two"]


def test_of_a_backend_that_is_removed_no_lane_is_left_when_its_last_turn_has_ended() -> None:
    bench = Bench("one", "two", max_turns=1)
    one = bench.at("one")
    assert bench.ask("a", one) == ["a to one"]
    assert bench.ask("b", one) == []
    bench.tell(TurnSent("a"))
    assert said(bench.tell(BackendRemoved("one"))) == ["b to two"]
    assert "turns:one" not in bench.core.pacing.facts
    bench.tell(TurnStreamed("a", UsageReported(Usage(100, 10))))
    bench.tell(TurnClosed("a", complete=True))
    assert set(bench.core.pacing.facts) == {"turns:two"}


def test_what_is_asked_of_a_removed_backend_brings_nothing_of_it_back() -> None:
    bench = Bench("one", "two")
    one = bench.at("one")
    bench.tell(BackendUp("one", BackendCapacity(kv_tokens=1000)))
    bench.ask("a", one)
    bench.tell(TurnSent("a"))
    bench.tell(TurnClosed("a", complete=True))
    session = bench.core.turns.table.by_name("default", one)[-1]
    pacing = bench.core.pacing
    assert pacing.prefix(session, "one") is not None
    bench.tell(BackendRemoved("one"))
    pacing.warmed(session, "one", 100)
    assert pacing.prefix(session, "one") is None
    assert not pacing.waits("one")
    assert not pacing.has_slack(session, "one", 100)
    assert "turns:one" not in pacing.facts
    assert "one" not in pacing._backends


MEMORY = 400_000
BIG, COLD = (" word" * count for count in (280_000, 2 * COLD_TOKENS))
"""Most of the memory, and a prompt that is read alone while so much of it is taken."""


def test_a_cold_turn_that_another_refused_holds_up_the_next_no_longer_than_any() -> None:
    bench = Bench("one", "two")
    one, two = bench.at("one"), bench.at("two")
    for name in ("one", "two"):
        bench.tell(BackendUp(name, BackendCapacity(kv_tokens=MEMORY)))
    assert bench.ask("big", two, BIG) == ["big to two"]
    assert bench.ask("a", one, COLD, stream=True) == ["a to one"]
    counters = RelayCounters()
    tap = Tap(TurnHandle(Told(bench), "a"), counters, Failures(counters), limit=1000)
    tap.sent()
    assert said(bench.tell(TurnRefused("a"))) == ["a to two"]
    bench.tell(BackendDown("one"))
    assert bench.ask("b", "another", COLD, stream=True) == [], "the other is not read yet"
    tap.sent()
    bench.now += READ_S - 2.0
    assert said(bench.tell(TimePassed())) == []
    assert said(bench.tell(TimePassed())) == ["b to two"]
    assert bench.core.turns.expectations.turns == 1, "its calls are predicted once"


def test_what_was_refused_and_sent_nowhere_else_was_served_by_nobody() -> None:
    bench = Bench("one", "two")
    one = bench.at("one")
    for name in ("one", "two"):
        bench.tell(BackendUp(name, BackendCapacity(kv_tokens=MEMORY)))
    assert bench.ask("a", one) == ["a to one"]
    bench.tell(TurnSent("a"))
    assert said(bench.tell(TurnRefused("a"))) == ["a to two"]
    session = bench.core.turns.session_of_turn("a")
    assert session is not None
    bench.tell(TurnClosed("a", complete=False))
    prefix = bench.core.pacing.prefix(session.id, "two")
    assert prefix is not None
    assert prefix.tokens == 0
