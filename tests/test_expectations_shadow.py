"""The shadow mode, as transcripts: what is only counted, and what the report says of it."""

import json
from typing import Any

import pytest

from paste_proxy.app import build
from paste_proxy.config import Config, SpeculationConfig
from paste_proxy.grammar.events import CallSealed
from paste_proxy.observe.shadow import report_lines, shadow_report
from paste_proxy.predict.shadow import TOOLS
from tests.guesses import Scripted, guess, predictions, talk
from tests.talk import Talk

OWN = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("list_things", "open_thing")
]
"""Tools that an agent runs itself."""


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
    assert predictor.tools == {"read_a", "read_b", "read_all", "edit", "edit_own"}


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
    lines = list(report_lines(shadow_report(talk(Scripted(), "shadow").core), "http://here"))
    assert lines[-1].startswith("No agent has asked for anything yet: give one http://here/v1")


@pytest.mark.parametrize(("tools", "offered", "advice"), [({"tools": []}, 0, True), ({}, 1, False)])
def test_a_report_of_turns_without_calls_says_what_was_seen_and_what_to_do(
    tools: dict[str, list[str]], offered: int, advice: bool
) -> None:
    t = talk(Scripted(), "shadow")
    t.ask(**tools)
    t.ends()
    text = "\n".join(report_lines(shadow_report(t.core), "http://here"))
    assert f"No agent has called a tool in 1 turns, of which {offered} offered tools." in text
    assert ("backend.tool_format" in text) is advice


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
