"""Turns and what is expected of them, as transcripts: what runs ahead or is only counted, at which level."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from paste_proxy.app import build
from paste_proxy.config import ClientToolConfig, Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.grammar.events import (
    ArgumentSealed,
    CallOpened,
    CallSealed,
    ContentText,
    Foreseen,
    ReasoningText,
)
from paste_proxy.observe.shadow import report_lines, shadow_report
from paste_proxy.predict.model import Call, Candidate, Fixed, History, TurnPredictor
from paste_proxy.predict.shadow import TOOLS
from tests.broker.world import SPECS
from tests.talk import Talk

PIECE = "x" * 512
OWN = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("list_things", "open_thing")
]
"""Tools that an agent runs itself."""


def guess(k: int, tool: str = "read_a", probability: float = 0.9) -> Candidate:
    return Candidate(tool, {"k": k}, probability, "because", probability)


class Scripted:
    """A predictor that says what it is told to, and writes down what it hears."""

    def __init__(self, *candidates: Candidate) -> None:
        self.now_expected = list(candidates)
        self.tools: frozenset[str] = frozenset()
        self.said: list[Any] = []
        self.after: dict[Any, list[Candidate]] = {}
        """What is expected once something was heard, by how that is written."""

    def learn(self, history: History, calls: Any) -> None: ...

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        return self.now_expected[:limit]

    def begin(self, history: History, tools: Iterable[str]) -> TurnPredictor:
        self.tools = frozenset(tools)
        self.said = []
        return self

    def heard(self, text: str) -> None:
        self._hear(text)

    def named(self, tool: str) -> None:
        self._hear(tool)

    def argued(self, argument: str, value: Any) -> None:
        self._hear((argument, value))

    def asked(self, call: Call) -> None:
        self._hear(call)

    def candidates(self, limit: int) -> list[Candidate]:
        return self.now_expected[:limit]

    def _hear(self, said: Any) -> None:
        self.said.append(said)
        self.now_expected = self.after.get(repr(said), self.now_expected)


def talk(
    predictor: Any, mode: Any = "on", allow: Iterable[str] = SPECS, **client_tools: tuple[str, ...]
) -> Talk:
    config = Config(
        speculation=SpeculationConfig(mode=mode, allow=tuple(allow), min_service_s=0.0),
        client_tools={name: ClientToolConfig(writes=writes) for name, writes in client_tools.items()},
    )
    return Talk(Core(SPECS, config, predictor))


def predictions(t: Talk) -> list[tuple[str, int, int, str]]:
    """Tool, k, level and outcome."""
    [session] = t.core.turns.sessions.values()
    return [(one.tool, one.arguments["k"], one.level, one.outcome) for one in session.predictions]


# -- shadow -------------------------------------------------------------------------------------------------


def shadow_of(t: Talk, tool: str) -> Any:
    return next(row for row in shadow_report(t.core).tools if row.tool == tool)


def test_the_shadow_runs_nothing_and_counts_what_an_agent_s_own_tool_would_have_saved() -> None:
    t = talk(Scripted(guess(1, "edit"), guess(2, "edit")), "shadow", allow=())
    t.ask()
    asked = t.now
    assert t.seals("edit") == []
    lead = t.now - asked
    t.ends()
    t.answers()
    t.now += 30
    t.ask()
    row = shadow_of(t, "edit")
    assert (row.standing, row.calls, row.used, row.saved_s) == ("agent", 1, 1, lead)
    assert row.service_s > 30
    assert t.core.broker.ledger.started == {}
    assert predictions(t)[:2] == [("edit", 1, 0, "used"), ("edit", 2, 0, "held")]


def test_the_shadow_asks_for_all_tools_that_may_read() -> None:
    predictor = Scripted()
    t = talk(predictor, "shadow", allow=(), edit_a=("a",))
    t.ask()
    assert predictor.tools == {"read_a", "read_b", "read_all", "edit"}


def test_without_a_list_of_tools_the_shadow_asks_for_those_that_were_called() -> None:
    predictor = Scripted()
    t = talk(predictor, "shadow", allow=())
    t.ask(tools=[])
    assert predictor.tools == frozenset()
    t.seals("look")
    t.ends()
    t.answers()
    t.ask(tools=[])
    assert predictor.tools == {"look"}


def test_the_report_tells_tools_apart_by_what_the_operator_would_have_to_do() -> None:
    t = talk(Scripted(), "shadow", allow=("read_a",), edit_a=("a",))
    t.ask()
    for place, tool in enumerate(("read_a", "read_b", "write_a", "edit", "edit_a")):
        t.seals(tool, f"c{place}")
    standings = {row.tool: row.standing for row in shadow_report(t.core).tools}
    assert standings == {
        "read_a": "allowed",
        "read_b": "may be allowed",
        "write_a": "writes",
        "edit": "agent",
        "edit_a": "writes",
    }


def test_defaults_and_number_forms_of_a_gateway_s_tool_do_not_hide_a_hit() -> None:
    t = talk(Scripted(guess(1)), "shadow", allow=())
    t.ask()
    t.seals("read_a", arguments='{ "k" : 1 }')
    assert shadow_of(t, "read_a").used == 1


def test_a_session_that_ends_leaves_nothing_held() -> None:
    t = talk(Scripted(guess(1)), "shadow", allow=())
    t.ask()
    t.ends()
    t.core.turns.expire(t.now + 10_000)
    assert shadow_report(t.core).held == 0
    assert shadow_of(t, "read_a").unused == 1


def test_the_report_ends_with_what_to_configure() -> None:
    t = talk(Scripted(guess(1, "read_b"), guess(2, "edit")), "shadow", allow=())
    t.ask()
    t.seals("read_b", "c1")
    t.ends()
    t.answers("c1")
    t.ask()
    t.hears(CallSealed(0, "c2", "edit", '{"k": 2}', '{"k":2}'))
    t.ends()
    function = {"name": "edit", "arguments": '{"k": 2}'}
    t.messages.append(
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c2", "type": "function", "function": function}],
        }
    )
    t.answers("c2")
    t.ask()
    lines = list(report_lines(shadow_report(t.core), "http://here"))
    assert lines[0] == "Shadow report of http://here: 2 calls seen, nothing was run ahead."
    assert "    - read_b  # 1.00 s saved per call, 1.00 unused per used" in lines
    assert "  mode: on" in lines
    assert lines[-1].startswith("    - edit  # ")


def test_a_report_of_nothing_says_so() -> None:
    [said, *_] = list(report_lines(shadow_report(talk(Scripted(), "on").core), "http://here"))
    assert said == "The proxy at http://here has speculation.mode: on; a shadow report needs `shadow`."
    lines = list(report_lines(shadow_report(talk(Scripted(), "shadow").core), "http://here"))
    assert lines[-1].startswith("No agent has called a tool yet")


def test_while_an_agent_s_own_tool_may_write_the_shadow_saves_nothing() -> None:
    """As the broker: what is read after an unfinished write of the same turn never runs ahead."""
    predictor = Scripted()
    t = talk(predictor, "shadow", allow=())
    t.ask()
    predictor.now_expected = [guess(1)]
    t.seals("edit", "c1")
    t.seals("read_a", "c2")
    t.ends()
    t.answers("c1")
    t.answers("c2")
    t.ask()
    t.seals("read_a", "c3")
    row = shadow_of(t, "read_a")
    assert (row.calls, row.used, row.unused) == (2, 1, 0)


def test_a_write_of_a_turn_that_failed_holds_the_shadow_up_no_longer() -> None:
    predictor = Scripted(guess(1))
    t = talk(predictor, "shadow", allow=())
    t.ask()
    t.seals("edit")
    t.ends(complete=False)
    del t.messages[1:]
    t.ask()
    t.seals("read_a", "c2")
    assert shadow_of(t, "read_a").used == 1


def test_tools_beyond_those_that_are_told_apart_have_one_row_without_advice() -> None:
    t = talk(Scripted(), "shadow", allow=())
    shadow = t.core.turns.expectations.shadow
    shadow.asked("s", "c", "first", "{}", 0.0)
    for number in range(TOOLS + 5):
        shadow.asked("s", "c", f"tool {number}", "{}", 0.0)
    shadow.others.used[0], shadow.others.saved_s[0] = 2, 99.0
    report = shadow_report(t.core)
    assert (report.tools[-1].tool, report.tools[-1].standing, report.tools[-1].calls) == (
        "other tools",
        "various",
        6,
    )
    assert (report.calls, report.used, report.saved_s) == (TOOLS + 6, 2, 99.0)
    lines = list(report_lines(report, "http://here"))
    assert [line.split()[:3] for line in lines if "other tools" in line] == [["other", "tools", "various"]]


def test_the_shadow_learns_what_an_agent_s_own_tools_do() -> None:
    """With the predictor of the proxy: each task lists things, and opens the first of them."""
    config = Config(speculation=SpeculationConfig(mode="shadow"))
    core = build(config).runtime.core
    for task in range(20):
        t = Talk(core)
        t.messages[0]["content"] = f"task {task}"
        t.now = 1000.0 * task
        t.ask(tools=OWN)
        t.seals("list_things", "c1", "{}")
        t.ends()
        t.messages.append(
            {
                "role": "tool",
                "tool_call_id": "c1",
                "content": json.dumps([{"id": f"thing-{task}{n}"} for n in "ab"]),
            }
        )
        t.ask(tools=OWN)
        t.now += 3
        t.seals("open_thing", "c2", json.dumps({"id": f"thing-{task}a"}))
        t.ends()
        t.answers("c2")
        t.now += 2
        t.ask(tools=OWN)
        t.ends()
    row = shadow_of(t, "open_thing")
    assert row.calls == 20
    assert row.used > 8
    assert row.saved_s > 20


# -- levels -------------------------------------------------------------------------------------------------


def test_what_is_heard_brings_new_candidates_of_their_level() -> None:
    predictor = Scripted(guess(1))
    predictor.after = {
        repr(PIECE): [guess(2)],
        "'read_b'": [guess(3, "read_b")],
        "('x', 4)": [guess(4, "read_b")],
    }
    t = talk(predictor)
    t.ask()
    t.hears(ContentText(PIECE), CallOpened(0, "c1", "read_b"), ArgumentSealed(0, ("x",), 4))
    assert [(tool, k, level) for tool, k, level, _ in predictions(t)] == [
        ("read_a", 1, 0),
        ("read_a", 2, 1),
        ("read_b", 3, 2),
        ("read_b", 4, 3),
    ]
    t.seals("read_b", arguments='{"k": 4}')
    t.calls("read_b", "c1", b'{"k": 4}')
    assert predictions(t)[-1][3] in ("joined", "promoted")


def test_a_call_that_is_all_written_is_no_guess_any_more() -> None:
    predictor = Scripted()
    predictor.after = {"('k', 4)": [guess(4, "read_b")]}
    t = talk(predictor, "shadow")
    t.ask()
    t.hears(CallOpened(0, "c1", "read_b"), ArgumentSealed(0, ("k",), 4))
    assert predictions(t) == []


def test_reasoning_is_heard_as_text_is() -> None:
    predictor = Scripted()
    predictor.after = {repr(PIECE): [guess(2)]}
    t = talk(predictor)
    t.ask()
    assert t.hears(ReasoningText(PIECE)) == ["read_a speculative"]


def test_little_text_is_heard_but_not_looked_at() -> None:
    predictor = Scripted()
    predictor.after = {repr("x" * 128): [guess(1)]}
    t = talk(predictor)
    t.ask()
    for _ in range(3):
        assert t.hears(ContentText("x" * 128)) == []
    assert t.hears(ContentText("x" * 128)) == ["read_a speculative"]
    assert predictor.said == ["x" * 128] * 4


def test_a_long_text_is_looked_at_ever_more_rarely() -> None:
    class Counting(Scripted):
        looks = 0

        def candidates(self, limit: int) -> list[Candidate]:
            self.looks += 1
            return []

    predictor = Counting()
    t = talk(predictor)
    t.ask()
    for _ in range(200):
        t.hears(ContentText(PIECE))
    assert 8 < predictor.looks < 14
    assert len(predictor.said) == 200


def test_what_is_foreseen_is_heard_once() -> None:
    predictor = Scripted()
    t = talk(predictor)
    t.ask()
    for event in (CallOpened(0, "", "read_b"), ArgumentSealed(0, ("k",), 4)):
        t.hears(Foreseen(event), event)
    t.hears(ArgumentSealed(0, ("k", "deeper"), 4))
    assert predictor.said == ["read_b", ("k", 4)]


def test_a_complete_call_has_the_next_one_of_its_turn_expected() -> None:
    predictor = Scripted()
    predictor.after = {repr(Call("read_a", {"k": 1})): [guess(1), guess(2)]}
    t = talk(predictor)
    t.ask()
    t.seals("read_a")
    assert [(k, level) for _, k, level, _ in predictions(t)] == [(2, 0)]


def test_a_run_that_failed_is_not_tried_again_in_its_turn() -> None:
    t = talk(Scripted(guess(1)))
    t.ask()
    [session] = t.core.turns.sessions
    t.core.broker.discard_session(session, t.now)
    assert t.hears(ContentText(PIECE), CallOpened(0, "c1", "read_a")) == []
    assert predictions(t) == [("read_a", 1, 0, "discarded")]


def test_each_level_has_as_many_candidates_as_the_operator_allows() -> None:
    predictor = Scripted(*(guess(k) for k in range(9)))
    predictor.after = {repr(PIECE): [guess(k) for k in range(10, 19)]}
    t = talk(predictor)
    t.ask()
    t.hears(ContentText(PIECE), ContentText(PIECE))
    assert [k for _, k, _, _ in predictions(t)] == [0, 1, 2, 10, 11, 12]


# -- worth --------------------------------------------------------------------------------------------------


def test_candidates_are_taken_by_their_worth_and_only_if_they_have_any() -> None:
    guesses = (guess(1, probability=0.3), guess(2, probability=0.9), guess(3, probability=0.03))
    t = talk(Scripted(*guesses), "shadow")
    t.ask()
    [session] = t.core.turns.sessions.values()
    assert [one.arguments["k"] for one in session.predictions] == [2, 1, 3]
    values = [one.value_s for one in session.predictions]
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0


def test_nothing_of_a_fast_tool_runs_ahead_however_sure() -> None:
    t = talk(Scripted(guess(1), guess(2)))
    for _ in range(20):
        t.core.broker.values.served("read_a", 0.001)
    t.ask()
    assert predictions(t) == []


def test_nothing_runs_ahead_where_authoritative_work_has_all_slots_of_a_tool() -> None:
    t = talk(Scripted(guess(1)))
    for k in range(10, 10 + SPECS["read_a"].concurrency):
        t.calls("read_a", arguments=b'{"k": %d}' % k)
    t.calls("read_a", arguments=b'{"k": 9}')
    assert t.core.broker.pressure("read_a") == 1.0
    t.core.broker.values.served("read_a", 100.0)
    t.ask()
    assert predictions(t) == []


def test_of_a_tool_with_a_price_one_candidate_runs_per_turn_and_only_a_likely_one() -> None:
    paid = msgspec.structs.replace(SPECS["read_a"], price=0.01)
    config = Config(speculation=SpeculationConfig(allow=tuple(SPECS), min_service_s=0.0))

    def of_two(probability: float) -> list[int]:
        predictor = Scripted(guess(1, probability=probability), guess(2, probability=probability))
        t = Talk(Core({**SPECS, "read_a": paid}, config, predictor))
        t.ask()
        return [k for _, k, _, _ in predictions(t)]

    assert of_two(0.9) == [1]
    assert of_two(0.3) == []


def test_leads_are_learnt_where_calls_are_sealed() -> None:
    t = talk(Scripted(guess(1, "read_b")))
    t.ask()
    t.now += 20
    t.seals("read_b", arguments='{"k": 7}')
    values = t.core.broker.values
    assert [lead for _, lead in values._lead_there] == [("read_b", False)]
    t.ends()
    t.answers()
    t.ask()
    t.hears(CallOpened(0, "c2", "read_b"))
    t.seals("read_b", "c2", arguments='{"k": 8}')
    assert [lead for _, lead in values._lead_there] == [("read_b", False), ("read_b", True)]


def test_a_predictor_that_fails_in_a_turn_costs_its_predictions_alone() -> None:
    class Broken(Scripted):
        def heard(self, text: str) -> None:
            raise ZeroDivisionError

    t = talk(Broken())
    t.ask()
    assert t.hears(ContentText(PIECE), ContentText(PIECE)) == []
    assert t.core.turns.expectations.failures == 1
    assert t.seals("read_a") == ["read_a decided"]


def test_nothing_is_kept_of_turns_that_are_over() -> None:
    t = talk(Scripted(guess(1)), "shadow")
    t.ask()
    t.ends()
    t.ask()
    for session in list(t.core.turns.sessions):
        t.core.turns.forget(session, t.now)
    t.ends(complete=False)
    expectations = t.core.turns.expectations
    assert not expectations._turns
    assert not expectations.shadow._sessions


def test_what_hears_nothing_expects_the_same_whatever_it_is_told() -> None:
    fixed = Fixed([guess(1), guess(2)])
    fixed.heard("x")
    fixed.named("x")
    fixed.argued("x", 1)
    fixed.asked(Call("x", {}))
    assert fixed.candidates(1) == [guess(1)]
    assert fixed.candidates(-1) == []


def test_predictions_of_a_session_are_bounded() -> None:
    t = talk(Scripted(), "shadow")
    t.ask()
    [session] = t.core.turns.sessions.values()
    for k in range(1000):
        session.predictions.append(session.new_prediction(0.0, guess(k), 0, 0.0))
    assert len(session.predictions) == 64
    long = Candidate("read_a", {"k": "x" * 10_000}, 0.9, "y" * 10_000)
    assert len(json.dumps(session.new_prediction(0.0, long, 0, 0.0).arguments)) < 1000
