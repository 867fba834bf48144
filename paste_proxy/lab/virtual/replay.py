"""How a recorded session becomes one that can be played: which times and sizes everything gets (traces.yaml).

A turn takes its recorded time on the engine of research.yaml, alone: it writes as many tokens as that engine
does in the time, less what its new prompt tokens take. In later prompts it counts what it counted when it was
recorded. So a replay has the recorded pace at load 1, and the recorded need of memory at any load.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import resources
from typing import Literal

import msgspec
import yaml

from paste_proxy.broker.keys import canonical_text
from paste_proxy.lab.sizes import CHARACTERS_PER_TOKEN
from paste_proxy.lab.virtual.recorded import RecordedCall, RecordedTurn, Session
from paste_proxy.lab.virtual.traces import RawCall, RawTurn, Trace
from paste_proxy.lab.virtual.world import Said
from paste_proxy.lab.workload import Draws, LogNormal, Workload, load_workload
from paste_proxy.tools.spec import GLOBAL_SCOPE, Effect, ToolSpec

LONGEST_S = 60.0
"""Tools and people are not waited for longer: recorded times of real sessions contain approvals and nights."""
CALL_CHARACTERS = 30
"""What a call has around its name and arguments: braces, two keys, a mark at each end."""
SYSTEM_STEP = 100
"""A system prompt that is not recorded is known by its size alone, and to this many tokens: sessions of one
program then share it, as they did."""


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One workload of traces.yaml."""

    why: str
    tool_times: Literal["recorded", "drawn"]
    look_up_seconds: LogNormal
    """Drawn: of reads; of all where the times are drawn, else of those that have none."""
    write_seconds: LogNormal
    reads: tuple[str, ...]
    """Names of the tools that only read, with * and ?."""
    unrecorded_turns: Literal["research", "counted"]
    """A turn without a recorded time: as long as one of the research workload, or as its tokens say."""
    slots: int
    """Runs at once, per tool."""
    files: tuple[str, ...] = ()
    local: tuple[str, ...] = ()
    """Tools that look at nothing but their arguments: they take no time, and no write touches them."""

    def only_reads(self, tool: str) -> bool:
        return any(fnmatchcase(tool, pattern) for pattern in (*self.reads, *self.local))

    def spec(self, tool: str, *, reads: bool | None = None) -> ToolSpec:
        """Any arguments are accepted: what a tool takes is not recorded."""
        reads = self.only_reads(tool) if reads is None else reads
        looks_at = frozenset[str]() if tool in self.local else frozenset({GLOBAL_SCOPE})
        return ToolSpec(
            name=tool,
            description=tool,
            parameters={"type": "object", "properties": {}},
            effect=Effect.READ if reads else Effect.NEVER,
            reads=looks_at,
            writes=frozenset() if reads else frozenset({GLOBAL_SCOPE}),
            concurrency=self.slots,
        )


class Replays(msgspec.Struct, frozen=True):
    """traces.yaml."""

    user_seconds: LogNormal
    of: Mapping[str, Replay]


def load_replays() -> Replays:
    text = resources.files("paste_proxy.lab").joinpath("traces.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    user_seconds = msgspec.convert(data.pop("user_seconds"), LogNormal)
    return Replays(user_seconds, msgspec.convert(data, dict[str, Replay]))


class Times:
    """Seconds and tokens of one workload."""

    def __init__(self, replay: Replay, user_seconds: LogNormal, research: Workload | None = None) -> None:
        self._replay = replay
        self._user_seconds = user_seconds
        self._research = research or load_workload()
        self._draws = Draws(f"{self._research.seed}/traces")

    def system_tokens(self) -> int:
        """Of a system prompt of which nothing is known."""
        return self._research.tokens.system_and_tools

    def call(self, session: str, spec: ToolSpec, canonical: str, recorded: float | None = None) -> float:
        """The same for equal calls of a session, whoever asks, unless they took different times."""
        if spec.name in self._replay.local:
            return 0.0
        if recorded is None or self._replay.tool_times == "drawn":
            reads = spec.effect is Effect.READ
            size = self._replay.look_up_seconds if reads else self._replay.write_seconds
            recorded = self._draws.size(size, "seconds", session, spec.name, canonical)
        return _waited(recorded)

    def user(self, session: str, turn: int, recorded: float | None) -> float:
        if recorded is None:
            recorded = self._draws.size(self._user_seconds, "user", session, turn)
        return _waited(recorded)

    def turn(self, session: str, turn: int, recorded: float | None, prompt: int, counted: int) -> int:
        """Output tokens; `prompt` of its tokens are new, and by itself it counts `counted`."""
        engine = self._research.engine
        if recorded is not None:
            seconds = max(0.0, recorded) - prompt / engine.prefill_tokens_per_s
            return max(1, round(seconds * engine.decode_tokens_per_s_one_request))
        if self._replay.unrecorded_turns == "counted":
            return max(1, counted)
        return max(1, round(self._draws.size(self._research.tokens.turn_output.size, "turn", session, turn)))


def _waited(seconds: float) -> float:
    """Clocks of different machines run backwards now and then."""
    return min(max(0.0, seconds), LONGEST_S)


def counted(text: str) -> int:
    """Tokens of a text."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


class Exchange(msgspec.Struct):
    """One turn of the model, and what came between it and the next."""

    said: RawTurn
    results: list[RawTurn] = []
    users: list[RawTurn] = []


def session_of(trace: Trace, times: Times, specs: Mapping[str, ToolSpec]) -> Session:
    raw = trace.read()
    opening, exchanges = parted(raw.turns)
    messages = _opening(opening, exchanges[0], times, f"{trace.group} for {raw.model}")
    turns = []
    fresh, before = sum(said.tokens for said in messages), _latest(opening)
    exchanges[-1].users.clear()  # nobody answers them
    for number, exchange in enumerate(exchanges):
        turn = _turn(trace.name, number, exchange, times, specs, before=before, fresh=fresh)
        turns.append(turn)
        fresh = sum(said.tokens for said in turn.interlude) + sum(counted(call.result) for call in turn.calls)
        before = _latest([exchange.said, *exchange.results, *exchange.users])
    return Session(trace.name, tuple(messages), tuple(turns))


def parted(turns: Sequence[RawTurn]) -> tuple[list[RawTurn], list[Exchange]]:
    """What stands before the model's first turn, and its turns. A greeting is no turn: the program says it."""
    opening: list[RawTurn] = []
    exchanges: list[Exchange] = []
    for place, turn in enumerate(turns):
        if turn.role == "assistant" and (place or turn.tool_calls):
            exchanges.append(Exchange(turn))
        elif turn.role in ("user", "system", "assistant"):
            where = exchanges[-1].users if exchanges else opening
            where += [turn] if turn.text.strip() else []
        elif turn.role == "tool" and exchanges:
            exchanges[-1].results.append(turn)
    return opening, exchanges


def _opening(turns: Sequence[RawTurn], first: Exchange, times: Times, program: str) -> list[Said]:
    """Tools stand in no trace, and often the system prompt doesn't: their size is what the first prompt held
    beyond the messages, where that was counted."""
    messages = [Said(turn.role, turn.text, counted(turn.text)) for turn in turns if turn.role != "system"]
    system = "\n".join(turn.text for turn in turns if turn.role == "system")
    usage = first.said.usage
    if usage is not None and usage.prompt_tokens:
        tokens = usage.prompt_tokens - sum(said.tokens for said in messages)
    else:
        tokens = times.system_tokens()
    tokens = -(-max(tokens, counted(system), 1) // SYSTEM_STEP) * SYSTEM_STEP
    system = system or f"{program}, {tokens} tokens"
    return [Said("system", system, tokens), *messages]


def _turn(
    session: str,
    number: int,
    exchange: Exchange,
    times: Times,
    specs: Mapping[str, ToolSpec],
    *,
    before: float | None,
    fresh: int,
) -> RecordedTurn:
    said = exchange.said
    calls = tuple(_calls(session, exchange, times, specs))
    reasoning, text = said.reasoning or "", said.text
    sizes = [len(reasoning), max(1, len(text)), *(_characters(call) for call in said.tool_calls)]
    kept = -(-sum(sizes[1:]) // CHARACTERS_PER_TOKEN)
    if said.usage is not None and said.usage.completion_tokens:
        kept = max(kept, said.usage.completion_tokens)
    whole = max(kept, -(-sum(sizes) // CHARACTERS_PER_TOKEN))
    tokens = times.turn(session, number, _between(before, said.ts), fresh, whole)
    return RecordedTurn(
        reasoning=reasoning,
        text=text,
        calls=calls,
        tokens=tuple(_shared(tokens, sizes)),
        kept=max(1, kept),
        interlude=tuple(Said(turn.role, turn.text, counted(turn.text)) for turn in exchange.users),
        pause=_pause(session, number, exchange, times),
    )


def _pause(session: str, number: int, exchange: Exchange, times: Times) -> float:
    if not any(turn.role == "user" for turn in exchange.users):
        return 0.0
    told = _latest([exchange.said, *exchange.results])
    return times.user(session, number, _between(told, _latest(exchange.users)))


def _calls(
    session: str, exchange: Exchange, times: Times, specs: Mapping[str, ToolSpec]
) -> Iterator[RecordedCall]:
    for call, result in zip(exchange.said.tool_calls, results_of(exchange), strict=True):
        spec = specs[call.name]
        canonical = canonical_text(spec, call.arguments)
        seconds = None if result is None else _tool_seconds(exchange.said, result)
        yield RecordedCall(
            tool=call.name,
            arguments=call.arguments,
            text=json.dumps(call.arguments, ensure_ascii=False),
            canonical=canonical,
            result="" if result is None else result.text,
            seconds=times.call(session, spec, canonical, seconds),
        )


def results_of(exchange: Exchange) -> list[RawTurn | None]:
    """Of each call its result: by id; by place where ids say nothing. What ended the session has none."""
    ids = [call.id for call in exchange.said.tool_calls]
    by_id = {result.tool_call_id: result for result in exchange.results}
    if len(set(ids)) == len(ids) == len(by_id) and set(ids) == by_id.keys():
        return [by_id[call_id] for call_id in ids]
    missing = len(ids) - len(exchange.results)
    return [*exchange.results[: len(ids)], *[None] * missing]


def _tool_seconds(said: RawTurn, result: RawTurn) -> float | None:
    return _between(said.ts, result.ts) if result.tool_ms is None else result.tool_ms / 1000


def _between(earlier: float | None, later: float | None) -> float | None:
    return None if earlier is None or later is None else later - earlier


def _latest(turns: Sequence[RawTurn]) -> float | None:
    return max((turn.ts for turn in turns if turn.ts is not None), default=None)


def _characters(call: RawCall) -> int:
    return len(call.name) + len(json.dumps(call.arguments, ensure_ascii=False)) + CALL_CHARACTERS


def _shared(tokens: int, sizes: Sequence[int]) -> Iterator[int]:
    """`tokens` in proportion to `sizes`, of which one is above 0, without loss."""
    whole, passed, given = sum(sizes), 0, 0
    for size in sizes:
        passed += size
        until = round(tokens * passed / whole)
        yield until - given
        given = until
