"""Tools that clients offer: whose they are, who runs them, and that they serve nobody else's call."""

import json
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from paste_proxy.broker.clients import Clients
from paste_proxy.core import Core
from paste_proxy.events import (
    AnswerCall,
    CallAbandoned,
    CallRequested,
    CancelRun,
    ClientGone,
    ClientOffered,
    Decision,
    DropResult,
    FailCall,
    HitRefused,
    Identity,
    RunBegan,
    RunEnded,
    StartRun,
    TellClient,
    TimePassed,
    TurnClosed,
    TurnRequested,
    TurnSent,
    TurnStreamed,
)
from paste_proxy.grammar.events import CallSealed, TurnEnded
from paste_proxy.grammar.requests import parse_chat_request
from paste_proxy.observe.metrics import stats
from paste_proxy.tools.ports import Output, RunContext
from paste_proxy.tools.spec import ToolSpec
from paste_proxy.tools.table import PLUGINS, ToolTable, client_source
from tests.broker.cast import CONFIG, OFFERED, SPECS
from tests.guesses import Scripted, guess

READ, WRITE = SPECS["read_a"], SPECS["write_a"]
OTHER = msgspec.structs.replace(READ, description="another function")


def test_tools_on_which_clients_of_a_tenant_differ_are_nobody_s() -> None:
    clients = Clients()
    clients.offer("one", "t", [READ, WRITE])
    clients.offer("two", "t", [OTHER, WRITE])
    clients.offer("three", "u", [OTHER])
    assert clients.agreed("t") == (WRITE,)
    assert clients.agreed("u") == (OTHER,)
    clients.gone("two")
    assert clients.agreed("t") == (READ, WRITE)
    assert clients.tenants() == ["t", "u"]


def test_a_session_s_tools_run_where_its_calls_come_from() -> None:
    clients, context = Clients(), RunContext("t", "s")
    assert clients.of(context, "read_a") == ""
    clients.offer("one", "t", [READ])
    clients.offer("theirs", "u", [READ])
    assert clients.of(context, "read_a") == "one"
    clients.offer("two", "t", [READ])
    assert clients.of(context, "read_a") == "", "which is not known before its first call"
    clients.bind("s", "two")
    clients.inherit("child", "s")
    assert clients.of(context, "read_a") == clients.of(RunContext("t", "child"), "read_a") == "two"
    clients.gone("two")
    assert clients.of(context, "read_a") == "one"
    clients.bind("s", "one")
    assert clients.of(context, "read_b") == ""


class Desk:
    """A core, clients, and what it has decided."""

    def __init__(self, *candidates: Any, plugins: dict[str, ToolSpec] | None = None) -> None:
        self.core = Core(ToolTable(plugins), CONFIG, Scripted(*candidates))
        self.now = 0.0
        self.messages: dict[str, list[dict[str, Any]]] = {}
        self.dropped: list[DropResult] = []
        self.cancelled: list[str] = []
        self.made: dict[str, tuple[str, str, str]] = {}
        """By run: for which tenant and session, and by which client."""

    def tell(self, event: Any) -> list[Decision]:
        self.now += 0.01
        decisions = self.core.handle(event, self.now)
        self.dropped += [one for one in decisions if isinstance(one, DropResult)]
        for one in decisions:
            if isinstance(one, StartRun):
                self.made[one.run.run] = (one.run.context.tenant, one.run.context.session, one.run.client)
        self.cancelled += [one.run for one in decisions if isinstance(one, CancelRun)]
        return decisions

    def comes(self, client: str, *specs: ToolSpec, tenant: str = "default", ran: tuple[str, ...] = ()) -> None:
        self.tell(ClientOffered(client, tenant, specs or tuple(SPECS.values()), ran))

    def asks(self, session: str, tenant: str = "default") -> list[StartRun]:
        messages = self.messages.setdefault(f"{tenant} {session}", [{"role": "user", "content": "go"}])
        request = parse_chat_request(json.dumps({"messages": messages, "tools": OFFERED}).encode())
        turn = f"{tenant} {session}"
        self.tell(TurnRequested(turn, Identity(tenant, session), request))
        return self.begins(self.tell(TurnSent(turn)))

    def seals(
        self, session: str, tool: str, call_id: str, tenant: str = "default", k: int = 1
    ) -> list[StartRun]:
        turn = f"{tenant} {session}"
        sealed = TurnStreamed(turn, CallSealed(0, call_id, tool, json.dumps({"k": k})))
        runs = self.begins(self.tell(sealed))
        self.tell(TurnStreamed(turn, TurnEnded("tool_calls")))
        self.tell(TurnClosed(turn, complete=True))
        function = {"name": tool, "arguments": json.dumps({"k": k})}
        self.messages[turn] += [
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": call_id, "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": call_id, "content": "done"},
        ]
        return runs

    def begins(self, decisions: list[Decision]) -> list[StartRun]:
        runs = [one for one in decisions if isinstance(one, StartRun)]
        for one in runs:
            self.tell(RunBegan(one.run.run))
        return runs

    def ends(self, run: StartRun, text: str = "") -> None:
        self.tell(RunEnded(run.run.run, Output(text.encode(), kept=5)))

    def calls(
        self, client: str, tool: str, call_id: str = "", session: str = "", **more: Any
    ) -> list[Decision]:
        identity = Identity(more.pop("tenant", "default"), session)
        k = more.pop("k", 1)
        call = more.pop("call", f"call {self.now}")
        return self.tell(
            CallRequested(call, identity, tool, json.dumps({"k": k}).encode(), call_id, client=client)
        )


def told(decisions: list[Decision]) -> list[tuple[str, str]]:
    return [(one.outcome, one.run) for one in decisions if isinstance(one, TellClient)]


def test_what_ran_ahead_at_a_client_is_the_call_s_and_named_by_its_run() -> None:
    desk = Desk(guess(1))
    desk.comes("one")
    [run] = desk.asks("s")
    assert (run.run.client, run.run.tool) == ("one", "read_a")
    desk.ends(run)
    desk.seals("s", "read_a", "c1")
    decisions = desk.calls("one", "read_a", "c1")
    assert told(decisions) == [("reused", run.run.run)]
    assert [one.output.kept for one in decisions if isinstance(one, AnswerCall)] == [5]
    assert desk.dropped == []


def test_a_call_that_is_to_be_run_is_told_so_at_once_and_takes_no_slot() -> None:
    desk = Desk()
    desk.comes("one")
    for number in range(20):
        decisions = desk.calls("one", "read_a", k=number)
        assert [outcome for outcome, _ in told(decisions)] == ["executed"]
        assert len(desk.begins(decisions)) == 1
    assert desk.core.queue.pressure("read_a") == 0.0


def test_a_call_joins_a_run_and_is_told_so_and_again_if_that_fails() -> None:
    desk = Desk(guess(1))
    desk.comes("one")
    [run] = desk.asks("s")
    desk.seals("s", "read_a", "c1")
    assert told(desk.calls("one", "read_a", "c1", call="call")) == [("joined", run.run.run)]
    again = desk.tell(RunEnded(run.run.run, None))
    [(outcome, other)] = told(again)
    assert (outcome, other != run.run.run) == ("executed", True)
    assert desk.core.broker.ledger.hits == {}
    [afresh] = desk.begins(again)
    desk.ends(afresh)
    assert desk.core.broker.ledger.hits == {"executed": 1}


def refused(desk: Desk, run: StartRun) -> None:
    """By its client, in vain by another, and once however often."""
    before = desk.core.broker.ledger.used
    for client in ("two", "one", "one"):
        desk.tell(HitRefused(client, run.run.run))
    ledger = desk.core.broker.ledger
    assert (before, ledger.used, ledger.served_by("executed")) == (1, 0, 1)
    assert (ledger.unused, ledger.unused_of) == ({"speculative": 1}, {"read_a": 1})
    assert (ledger.wasted_bytes, ledger.saved_s - ledger.refused_s) == (5, 0.0)
    figures = stats(desk.core)
    assert (figures["hits"]["executed"], figures["hits_refused"]) == (1, 1)
    assert figures["saved_s"] == 0.0


def test_a_reused_result_that_its_client_refuses_is_an_unused_run_and_no_hit() -> None:
    desk = Desk(guess(1))
    desk.comes("one")
    [run] = desk.asks("s")
    desk.ends(run)
    desk.seals("s", "read_a", "c1")
    assert told(desk.calls("one", "read_a", "c1")) == [("reused", run.run.run)]
    refused(desk, run)
    assert desk.core.broker.ledger.hits == {"reused": 1}, "counts only grow"


def test_a_joined_run_that_its_client_refuses_before_its_end_is_heard_is_one_too() -> None:
    for early in (False, True):
        desk = Desk(guess(1))
        desk.comes("one")
        [run] = desk.asks("s")
        desk.seals("s", "read_a", "c1")
        assert told(desk.calls("one", "read_a", "c1")) == [("joined", run.run.run)]
        if early:
            desk.tell(HitRefused("two", run.run.run))
            desk.tell(HitRefused("one", run.run.run))
        desk.ends(run)
        if early:
            assert (desk.core.broker.ledger.used, desk.core.broker.ledger.unused) == (0, {"speculative": 1})
        else:
            refused(desk, run)


def test_a_result_that_is_void_is_dropped_at_its_client() -> None:
    desk = Desk(guess(1))
    desk.comes("one")
    [run] = desk.asks("s")
    desk.ends(run)
    desk.calls("one", "write_a")
    assert desk.dropped == [DropResult(run.run.run, "one")]


def test_another_client_s_call_is_not_served_by_it() -> None:
    desk = Desk(guess(1))
    desk.comes("one")
    [run] = desk.asks("s")
    desk.ends(run)
    desk.comes("two")
    desk.seals("s", "read_a", "c1")
    assert [outcome for outcome, _ in told(desk.calls("two", "read_a", "c1"))] == ["executed"]
    [ahead] = [one for one in desk.asks("s") if one.run.tool == "read_a"]
    assert ahead.run.client == "two", "the session's calls come from there now"


def test_a_lost_client_voids_what_it_ran_and_its_tools_are_gone() -> None:
    desk = Desk(guess(1))
    desk.comes("one")
    [run] = desk.asks("s")
    desk.tell(ClientGone("one"))
    assert desk.cancelled == [run.run.run]
    assert (len(desk.core.tools), desk.core.broker.live) == (0, 0)


def test_a_write_of_a_lost_client_stays_open_until_it_is_told_to_have_ended() -> None:
    desk = Desk(guess(1))
    desk.comes("one")
    desk.comes("two")
    [write] = desk.begins(desk.calls("one", "write_a", call="w"))
    desk.tell(ClientGone("one"))
    desk.tell(CallAbandoned("w"))
    assert desk.asks("s") == []
    assert desk.core.broker.open_scopes == 1
    desk.tell(RunEnded(write.run.run, None))
    assert desk.core.broker.open_scopes == 0


def test_a_write_at_a_client_is_open_until_it_ends_however_long_it_takes() -> None:
    """Its timeout stops nothing: whoever runs it does as it would without us."""
    desk = Desk(guess(1))
    desk.comes("one")
    [write] = desk.begins(desk.calls("one", "write_a", call="w"))
    desk.now += 2 * SPECS["write_a"].timeout
    assert [one for one in desk.tell(TimePassed()) if isinstance(one, FailCall | CancelRun)] == []
    assert desk.asks("s") == []
    assert desk.core.broker.open_scopes == 1
    ended = desk.tell(RunEnded(write.run.run, Output(b"", kept=0)))
    assert [one.outcome for one in ended if isinstance(one, AnswerCall)] == ["executed"]
    assert desk.core.broker.open_scopes == 0


def test_a_call_that_joined_a_run_that_hangs_is_let_go() -> None:
    desk = Desk(guess(1))
    desk.comes("one")
    [run] = desk.asks("s")
    desk.seals("s", "read_a", "c1")
    assert told(desk.calls("one", "read_a", "c1")) == [("joined", run.run.run)]
    desk.now += SPECS["read_a"].timeout
    assert [one.outcome for one in desk.tell(TimePassed()) if isinstance(one, FailCall)] == ["joined"]


def found_volatile() -> Desk:
    desk = Desk(guess(1))
    desk.comes("one")
    [run] = desk.asks("s")
    desk.tell(RunEnded(run.run.run, Output(b"", kept=5, digest="a")))
    desk.seals("s", "read_a", "c1")
    [look] = desk.begins(desk.calls("one", "read_a", "c1"))
    desk.tell(RunEnded(look.run.run, Output(b"", kept=5, digest="b")))
    assert desk.core.broker.permits.reasons() == {"read_a": "volatile"}
    return desk


def test_a_tool_that_was_found_volatile_is_that_still_when_its_client_comes_again() -> None:
    desk = found_volatile()
    desk.tell(ClientGone("one"))
    desk.comes("one")
    assert desk.core.broker.permits.reasons() == {"read_a": "volatile"}
    assert desk.asks("s") == []


def test_a_tool_that_is_another_one_when_its_client_comes_again_is_judged_anew() -> None:
    desk = found_volatile()
    desk.tell(ClientGone("one"))
    desk.comes("one", OTHER)
    assert desk.core.broker.permits.reasons() == {}
    assert [one.run.tool for one in desk.asks("s")] == ["read_a"]


def test_writes_that_a_client_made_alone_void_what_read_before_them() -> None:
    desk = Desk(guess(1))
    desk.comes("one")
    [run] = desk.asks("s")
    desk.ends(run)
    desk.comes("two", ran=("write_a",))
    assert desk.dropped == [DropResult(run.run.run, "one")]


def test_the_gateway_calls_no_wrapped_tool_and_a_client_none_of_the_gateway() -> None:
    desk = Desk(plugins={"read_b": SPECS["read_b"]})
    desk.comes("one")
    for decisions in (
        desk.calls("", "read_a"),
        desk.calls("one", "read_b"),
        desk.calls("two", "read_a"),
        desk.calls("one", "read_a", tenant="other"),
    ):
        [failed] = [one for one in decisions if isinstance(one, FailCall)]
        assert "there is no tool" in failed.error.message
        assert "read_a" not in failed.error.message.partition("known:")[2]
    assert desk.core.tools.source("read_b") == PLUGINS
    assert "another tool" in desk.core.standing("default", SPECS["read_b"])
    assert desk.core.standing("default", READ) == ""
    assert "effect" in desk.core.standing("default", WRITE)


def test_a_name_is_of_the_first_tenant_and_means_nothing_in_requests_of_others() -> None:
    desk = Desk(guess(1))
    desk.comes("one", READ, tenant="t")
    desk.comes("two", READ, tenant="u")
    assert desk.core.tools.source("read_a") == client_source("t")
    assert desk.asks("s", "u") == []
    assert "another tool" in desk.core.standing("u", READ)
    desk.tell(ClientGone("one"))
    assert desk.core.tools.source("read_a") == client_source("u")
    desk.seals("s", "read_a", "c1", "u")
    assert [one.run.client for one in desk.asks("s", "u")] == ["two"]


@pytest.mark.parametrize("tenants", [("t", "t"), ("t", "u")])
@given(seed=st.integers(0, 2**32))
def test_equal_calls_of_two_sessions_never_get_each_other_s_results(
    tenants: tuple[str, str], seed: int
) -> None:
    """Two agents, two clients, the same calls; anything may happen in any order."""
    random = Random(seed)
    desk = Desk(guess(1), guess(2))
    sessions = ("s", "s" if tenants[0] != tenants[1] else "z")
    for tenant, client in zip(tenants, ("one", "two"), strict=True):
        desk.comes(client, tenant=tenant)
    reused = 0
    open_turns: set[int] = set()
    for number in range(40):
        who = random.randrange(2)
        tenant, session, client = tenants[who], sessions[who], ("one", "two")[who]
        k, call_id = random.choice((1, 2)), random.choice(("", f"c{number // 8}"))
        step = random.randrange(4)
        decisions: list[Decision] = []
        if step == 0 and who not in open_turns:
            open_turns.add(who)
            runs = desk.asks(session, tenant)
        elif step == 1 and who in open_turns:
            open_turns.discard(who)
            runs = desk.seals(session, "read_a", call_id or f"c{number}", tenant, k)
        else:
            name = session if random.random() < 0.5 else ""
            decisions = desk.calls(client, "read_a", call_id, name, tenant=tenant, k=k)
            runs = desk.begins(decisions)
        for run in runs:
            if random.random() < 0.8:
                desk.ends(run)
        for one in decisions:
            if isinstance(one, TellClient) and one.outcome in ("reused", "joined"):
                assert desk.made[one.run] == (tenant, one.session, client)
                reused += 1
    event(f"{min(reused, 3)} or more calls were served ahead")


def test_a_call_joins_what_its_client_was_sent_and_may_not_have_begun() -> None:
    desk = Desk(guess(1))
    desk.comes("one")
    turn = "default s"
    body = {"messages": [{"role": "user", "content": "go"}], "tools": OFFERED}
    request = parse_chat_request(json.dumps(body).encode())
    desk.tell(TurnRequested(turn, Identity("default", "s"), request))
    [run] = [one for one in desk.tell(TurnSent(turn)) if isinstance(one, StartRun)]
    assert told(desk.calls("one", "read_a", session="s", call="call")) == [("joined", run.run.run)]
    assert desk.cancelled == []
    decisions = desk.tell(RunEnded(run.run.run, Output(b"", kept=1)))
    answers = [one for one in decisions if isinstance(one, AnswerCall)]
    assert [(one.outcome, one.saved_s) for one in answers] == [("joined", 0.0)]
