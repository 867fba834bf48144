"""The research workload in virtual time: sessions drawn from its numbers, and what prefetching does to them.

One session: S searches; after each some results are opened, one after another; then an answer. What is *not*
modelled: queueing for tools or the engine, and the model's speed under load (one session at a time).
"""

import json
import math
import random
from collections.abc import Iterator, Sequence

import msgspec

from paste_proxy.predict.model import Call, Candidate, FinishedCall, History, Predictor
from paste_proxy.predict.signatures import finished_call

SKIP_OPENING, OPEN_AGAIN, RESULTS = 0.15, 0.63, 10
SEARCHES_BASE, SEARCHES_MEAN, SEARCHES_MAX = 1, 3.0, 8
RANKS = {1: 0.50, 2: 0.64, 3: 0.69, 5: 0.76, 10: 0.80}
"""P(the opened page is among the first k not yet opened results); the rest stands in no result."""
TURN_TOKENS: tuple[float, float] = (340, 680)
ANSWER_TOKENS: tuple[float, float] = (700, 1500)
SERVICE: dict[str, tuple[float, float]] = {"search": (2.4, 4.5), "open": (4.0, 9.0)}
"""Seconds: p50 and p90, as are the tokens; all lognormal."""
DECODE_TOKENS_PER_S = 113.7
MAX_AGE_S = 60.0
"""A staged result older than this is of no use (ToolSpec.max_age)."""


class Step(msgspec.Struct, frozen=True):
    """One turn: how long the model writes, and the call it ends with (none: the answer)."""

    turn_s: float
    call: Call | None = None
    text: str = ""
    tool_s: float = 0.0


class Gate(msgspec.Struct, frozen=True):
    """What a prediction must have to be started."""

    candidates: int = 3
    min_probability: float = 0.0
    max_age_s: float = MAX_AGE_S


class Tally(msgspec.Struct):
    """What prefetching did, all sessions together. Seconds."""

    tasks: int = 0
    native_s: float = 0.0
    prefetched_s: float = 0.0
    slower: int = 0
    started: int = 0
    used: int = 0
    opens: int = 0
    hits_at_1: int = 0
    hits_at_3: int = 0
    possible_at_1: int = 0
    possible_at_3: int = 0

    @property
    def ratio(self) -> float:
        return self.prefetched_s / self.native_s

    @property
    def unused_per_used(self) -> float:
        return (self.started - self.used) / max(self.used, 1)


def session(seed: int) -> list[Step]:
    """The steps of one task."""
    draw = random.Random(seed)
    extra = min(round(draw.expovariate(1 / SEARCHES_MEAN)), SEARCHES_MAX)
    steps: list[Step] = []
    for number in range(SEARCHES_BASE + extra):
        steps += _search_and_open(draw, f"{seed}-{number}")
    return [*steps, Step(turn_s=_lognormal(draw, ANSWER_TOKENS) / DECODE_TOKENS_PER_S)]


def _search_and_open(draw: random.Random, topic: str) -> Iterator[Step]:
    names = [f"lib{draw.randrange(10**6)}.mod{place}" for place in range(RESULTS)]
    results = [
        {"name": n, "summary": f"About {n} and {topic}.", "score": 1.5 - i / 10} for i, n in enumerate(names)
    ]
    yield _step(draw, Call("search", {"query": f"how to {topic} {draw.random()}"}), json.dumps(results))
    again = draw.random() >= SKIP_OPENING
    while again:
        name = _opened(draw, names)
        page = (
            f"Help on {name}:\n\nSee also other/{topic}.py and https://docs.example/{draw.randrange(999)}.\n"
            * 3
        )
        yield _step(draw, Call("open", {"name": name}), page)
        again = draw.random() < OPEN_AGAIN


def _opened(draw: random.Random, unopened: list[str]) -> str:
    """Draws the page, and takes it from the list."""
    place = _place(draw.random())
    return unopened.pop(place) if place < len(unopened) else f"elsewhere.page{draw.randrange(10**6)}"


def _place(chance: float) -> int:
    """The place in the list of unopened results; `RESULTS`: in none."""
    low, last = 0, 0.0
    for high, cumulative in RANKS.items():
        if chance < cumulative:
            return low + int((chance - last) / (cumulative - last) * (high - low))
        low, last = high, cumulative
    return RESULTS


def _step(draw: random.Random, call: Call, text: str) -> Step:
    turn_s = _lognormal(draw, TURN_TOKENS) / DECODE_TOKENS_PER_S
    return Step(turn_s, call, text, _lognormal(draw, SERVICE[call.tool]))


def _lognormal(draw: random.Random, p50_p90: tuple[float, float]) -> float:
    p50, p90 = p50_p90
    return draw.lognormvariate(math.log(p50), math.log(p90 / p50) / 1.2816)


def train(predictor: Predictor, seeds: Sequence[int]) -> None:
    """Let the predictor see whole sessions, one after another."""
    for seed in seeds:
        history = History(calls=[], session=str(seed))
        for step in session(seed):
            predictor.learn(history, [step.call] if step.call else [])
            if step.call:
                history.calls.append(_finished(step))


def replay(predictor: Predictor, seeds: Sequence[int], gate: Gate, learning: bool = False) -> Tally:
    """Run sessions with and without prefetching. `learning`: the predictor goes on learning after each turn."""
    tally = Tally()
    for seed in seeds:
        _replay_one(predictor, seed, gate, tally, learning)
    return tally


def _replay_one(predictor: Predictor, seed: int, gate: Gate, tally: Tally, learning: bool) -> None:
    history, staged, now, native = History(calls=[], session=str(seed)), dict[str, float](), 0.0, 0.0
    for step in session(seed):
        found = predictor.predict(history, ["search", "open"], gate.candidates)
        tally.started += _start(found, staged, gate, now)
        now, native = now + step.turn_s, native + step.turn_s + step.tool_s
        if step.call:
            _count_hits(tally, step.call, found, history)
            started = staged.pop(_key(step.call), -math.inf)
            fresh = now - started <= gate.max_age_s
            tally.used += fresh
            now = max(now, started + step.tool_s) if fresh else now + step.tool_s
        if learning:
            predictor.learn(history, [step.call] if step.call else [])
        if step.call:
            history.calls.append(_finished(step))
    tally.tasks += 1
    tally.native_s += native
    tally.prefetched_s += now
    tally.slower += now > native + 1e-9


def _start(found: list[Candidate], staged: dict[str, float], gate: Gate, now: float) -> int:
    """Start what is good enough and not staged already; the number started."""
    wanted = [_key(Call(c.tool, c.arguments)) for c in found if c.probability >= gate.min_probability]
    new = [key for key in wanted if now - staged.get(key, -math.inf) > gate.max_age_s]
    staged.update((key, now) for key in new)
    return len(new)


def _count_hits(tally: Tally, call: Call, found: list[Candidate], history: History) -> None:
    if call.tool != "open":
        return
    keys, key = [_key(Call(c.tool, c.arguments)) for c in found], _key(call)
    tally.opens += 1
    tally.hits_at_1 += key in keys[:1]
    tally.hits_at_3 += key in keys[:3]
    first = _unopened(history)[:3]
    tally.possible_at_1 += call.arguments["name"] in first[:1]
    tally.possible_at_3 += call.arguments["name"] in first


def _unopened(history: History) -> list[str]:
    opened = {call.arguments["name"] for call in history.calls if call.tool == "open"}
    results = next(call.value for call in reversed(history.calls) if call.tool == "search")
    return [result["name"] for result in results if result["name"] not in opened]


def _key(call: Call) -> str:
    return json.dumps([call.tool, call.arguments], sort_keys=True)


def _finished(step: Step) -> FinishedCall:
    assert step.call is not None
    return finished_call(step.call.tool, step.call.arguments, step.text)
