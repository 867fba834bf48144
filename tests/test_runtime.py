"""The shell: it carries decisions out, and a bug in the core costs no request."""

import asyncio
import gc
import logging
from collections.abc import Callable
from typing import Any

import pytest

from paste_proxy.clock import SystemClock
from paste_proxy.config import BackendConfig, Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.errors import InvalidArgumentsError, ToolError, ToolTimeoutError, UnknownToolError
from paste_proxy.events import BackendTold, Identity, TurnBegan, TurnStreamed
from paste_proxy.grammar.events import ArgumentText, CallSealed, ContentText, Foreseen, GrammarEvent, TurnEnded
from paste_proxy.grammar.requests import ChatRequest, parse_chat_request
from paste_proxy.predict.model import Call, Candidate, Fixed, History, TurnPredictor
from paste_proxy.runtime import Runtime, ToolCall
from paste_proxy.schedule.backends import BackendLoad
from paste_proxy.tools.ports import Output, Run
from paste_proxy.tools.spec import Effect, ToolSpec
from paste_proxy.tools.table import ToolTable

SCHEMA = {"type": "object", "properties": {"k": {"type": "integer"}}, "required": ["k"]}
SPECS = {
    "read": ToolSpec("read", "", SCHEMA, effect=Effect.READ, reads=frozenset("a"), writes=frozenset()),
    "write": ToolSpec("write", "", SCHEMA, reads=frozenset(), writes=frozenset("a"), timeout=0.05),
    "marked": ToolSpec(
        "marked", "", SCHEMA, effect=Effect.READ, reads=frozenset("m"), writes=frozenset(), has_fingerprint=True
    ),
}
SOMEONE = Identity(session="s")


class FakeExecutor:
    """Every run waits until it is let go; the test says with what."""

    def __init__(self) -> None:
        self.runs: dict[str, asyncio.Future[Output]] = {}
        self.started: list[Run] = []
        self.promoted: list[str] = []
        self.mark = b"1"
        self.closed = False

    async def run(self, run: Run, begun: Callable[[], None]) -> Output:
        self.started.append(run)
        begun()
        self.runs[run.run] = asyncio.get_running_loop().create_future()
        return await self.runs[run.run]

    def finish(self, number: int = -1, text: str = "ok") -> None:
        self.runs[self.started[number].run].set_result(Output(text.encode(), is_text=True))

    def fail(self, error: Exception, number: int = -1) -> None:
        self.runs[self.started[number].run].set_exception(error)

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> bytes | None:
        return self.mark if tool == "marked" else None

    def promote(self, run: str) -> None:
        self.promoted.append(run)

    async def warm_up(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        self.closed = True


class Guesses:
    def __init__(self, *calls: Call) -> None:
        self.calls = calls
        self.learnt: list[tuple[int, list[Call]]] = []
        self.broken = False

    def learn(self, history: History, calls: Any) -> None:
        if self.broken:
            raise ZeroDivisionError
        self.learnt.append((len(history.calls), list(calls)))

    def predict(self, history: History, tools: Any, limit: int) -> list[Candidate]:
        if self.broken:
            raise ZeroDivisionError
        return [Candidate(call.tool, call.arguments, 0.9, "guess") for call in self.calls]

    def begin(self, history: History, tools: Any) -> TurnPredictor:
        return Fixed(self.predict(history, tools, 99))


class Bench:
    def __init__(self, *guesses: Call, max_turns: int = 0) -> None:
        config = Config(
            speculation=SpeculationConfig(allow=tuple(SPECS), min_service_s=0.0),
            backend=BackendConfig(max_turns=max_turns),
        )
        self.predictor = Guesses(*guesses)
        self.executor = FakeExecutor()
        self.runtime = Runtime(Core(ToolTable(SPECS), config, self.predictor), self.executor, SystemClock())

    def call(self, tool: str = "read", arguments: bytes = b'{"k":1}', call_id: str = "") -> asyncio.Task[Any]:
        call = ToolCall(SOMEONE, tool, arguments, call_id)
        return asyncio.get_running_loop().create_task(self.runtime.call(call))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def request(*messages: dict[str, Any]) -> ChatRequest:
    import json

    tools = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in SPECS]
    body = {"messages": [{"role": "user", "content": "go"}, *messages], "tools": tools}
    return parse_chat_request(json.dumps(body).encode())


async def test_a_call_is_executed_and_answered() -> None:
    bench = Bench()
    call = bench.call()
    await settle()
    bench.executor.finish(text="result")
    answer = await call
    assert (answer.outcome, answer.output.body) == ("executed", b"result")
    await bench.runtime.close()
    assert bench.executor.closed


async def test_what_was_guessed_is_reused_and_what_is_sealed_starts() -> None:
    bench = Bench(Call("read", {"k": 1}))
    turn = await bench.runtime.admit(SOMEONE, request())
    turn.sent()
    await settle()
    bench.executor.finish(0, "guessed")
    await settle()
    turn.feed([ContentText("so "), ContentText("be it"), CallSealed(0, "c1", "read", '{"k": 1}')])
    turn.feed([CallSealed(1, "c2", "read", '{"k": 2}')])
    await settle()
    assert [run.arguments for run in bench.executor.started] == [{"k": 1}, {"k": 2}]
    joined = bench.call(arguments=b'{"k":2}', call_id="c2")
    reused = await bench.call(arguments=b'{"k":1}', call_id="c1")
    assert (reused.outcome, reused.output.body) == ("reused", b"guessed")
    await settle()
    assert bench.executor.promoted == [bench.executor.started[1].run]
    bench.executor.finish(1, "sealed")
    assert (await joined).outcome == "joined"
    turn.feed([TurnEnded("tool_calls")])
    turn.close(complete=True)
    assert bench.predictor.learnt == [(0, [Call("read", {"k": 1}), Call("read", {"k": 2})])]


async def test_the_core_hears_of_a_reply_what_it_needs_foreseen_or_told() -> None:
    bench = Bench()
    turn = await bench.runtime.admit(SOMEONE, request())
    told: list[Any] = []
    handle = bench.runtime.core.handle
    bench.runtime.core.handle = lambda event, now: told.append(event) or handle(event, now)  # type: ignore
    piece, sealed = ArgumentText(0, "{"), CallSealed(0, "", "read", '{"k": 1}')
    turn.feed([ContentText("a"), ContentText("b"), piece, Foreseen(piece), Foreseen(sealed), sealed])
    said: list[GrammarEvent] = [ContentText("ab"), Foreseen(sealed), sealed]
    assert told == [TurnBegan(turn.turn), *(TurnStreamed(turn.turn, event) for event in said)]
    await settle()
    assert len(bench.executor.started) == 1
    await bench.runtime.close()


async def test_a_fingerprint_is_taken_before_the_run_and_at_release() -> None:
    for mark, outcome in ((b"1", "reused"), (b"2", "executed")):
        bench = Bench(Call("marked", {"k": 1}))
        turn = await bench.runtime.admit(SOMEONE, request())
        turn.sent()
        await settle()
        bench.executor.finish()
        await settle()
        bench.executor.mark = mark
        call = bench.call("marked")
        await settle()
        if outcome == "executed":
            bench.executor.finish()
        assert (await call).outcome == outcome
        turn.close(complete=True)
        await bench.runtime.close()


async def test_a_caller_that_leaves_stops_its_run() -> None:
    bench = Bench()
    call = bench.call()
    await settle()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await settle()
    assert bench.executor.runs["run-1"].cancelled()
    await bench.runtime.close()


async def test_errors_reach_the_caller() -> None:
    bench = Bench()
    with pytest.raises(UnknownToolError, match="no tool 'nix'; known: marked, read, write"):
        await bench.call("nix")
    with pytest.raises(InvalidArgumentsError):
        await bench.call(arguments=b'{"k":1,"k":1}')
    call = bench.call()
    await settle()
    bench.executor.fail(ToolError("no luck"))
    with pytest.raises(ToolError, match="no luck"):
        await call
    call = bench.call()
    await settle()
    bench.executor.fail(ZeroDivisionError("a bug"))
    with pytest.raises(ToolError, match="could not be run: a bug"):
        await call
    await bench.runtime.close()


async def test_a_call_that_hangs_times_out() -> None:
    bench = Bench()
    with pytest.raises(ToolTimeoutError, match="write gave no result"):
        await bench.call("write")
    await bench.runtime.close()


async def test_turns_wait_for_their_slot_and_one_that_leaves_makes_room() -> None:
    bench = Bench(max_turns=1)
    first = await bench.runtime.admit(SOMEONE, request())
    loop = asyncio.get_running_loop()
    second, third = (loop.create_task(bench.runtime.admit(Identity(), None)) for _ in range(2))
    await settle()
    assert not second.done()
    second.cancel()
    await settle()
    first.close(complete=True)
    handle = await third
    handle.close(complete=True)
    await bench.runtime.close()


async def test_a_broken_predictor_costs_its_predictions_only() -> None:
    bench = Bench(Call("read", {"k": 1}))
    bench.predictor.broken = True
    turn = await bench.runtime.admit(SOMEONE, request())
    turn.sent()
    turn.feed([TurnEnded("stop")])
    turn.close(complete=True)
    assert bench.runtime.core.turns.expectations.failures == 2
    assert not bench.runtime.failed
    await bench.runtime.close()


async def test_a_bug_in_the_core_costs_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(max_turns=1)
    held_back = await bench.runtime.admit(Identity(), None)
    waiting_turn = asyncio.get_running_loop().create_task(bench.runtime.admit(Identity(), None))
    waiting_call, writing = bench.call(), bench.call("write")
    await settle()
    monkeypatch.setattr(bench.runtime.core, "handle", lambda event, now: 1 / 0)
    held_back.close(complete=True)
    assert bench.runtime.failed
    (await waiting_turn).close(complete=True)
    later = bench.call()
    await settle()
    bench.executor.finish(-1, "direct")
    bench.executor.finish(-2, "direct")
    assert {(await one).output.body for one in (waiting_call, later)} == {b"direct"}
    with pytest.raises(ToolError, match="may have run or not"):
        await writing
    assert [run.tool for run in bench.executor.started].count("write") == 1
    with pytest.raises(UnknownToolError):
        await bench.call("nix")
    await bench.runtime.close()


async def test_the_call_on_which_the_core_fails_is_served_without_a_word_of_the_loop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    monkeypatch.setattr(bench.runtime.core, "handle", lambda event, now: 1 / 0)
    call = bench.call("write")
    await settle()
    bench.executor.finish(text="done")
    assert (await call).output.body == b"done"
    del call
    gc.collect()
    assert "never retrieved" not in caplog.text
    await bench.runtime.close()


async def test_a_result_of_a_run_ahead_that_says_how_old_it_is_is_kept_no_longer() -> None:
    bench = Bench(Call("read", {"k": 1}))
    turn = await bench.runtime.admit(SOMEONE, request())
    turn.sent()
    await settle()
    bench.executor.finish(0, '{"as_of": "2023-11-01T12:00:00Z"}')
    await settle()
    turn.feed([CallSealed(0, "c1", "read", '{"k": 1}')])
    turn.close(complete=True)
    await settle()
    asked = bench.call(arguments=b'{"k":1}', call_id="c1")
    await settle()
    assert len(bench.executor.started) > 1, "what ran ahead is too old by its own word"
    bench.executor.finish(-1, "fresh")
    assert (await asked).output.body == b"fresh"


async def test_the_log_says_when_a_backend_overrules_the_account_and_when_it_does_no_longer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "paste_proxy.runtime")
    bench = Bench()
    for _ in range(4):
        bench.runtime.tell(BackendTold("", BackendLoad(running=9)))
    bench.runtime.tell(BackendTold("", None))
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the backend tells of clearly more requests than ours",
        "the backend has no other users that it tells of",
    ]
