"""What predicting costs while a turn goes on: per content chunk, per name or argument, and per decision.

`python -m benchmarks.turns [TRACES]`, half a minute on one core; prints one JSON object, in microseconds of
CPU time. TRACES: a file of sessions with visible reasoning; without one they are made up.

- `chunks`: the reasoning of turns, four tokens at a time, to a predictor that has learnt from the other half of
  the sessions. `hear` is a chunk without, `all` with the looks at the candidates that what was heard asked for,
  spread over all chunks; `look` is one of them.
- `events`: `name` and `argument` each with its look.
- `decisions`: of the turns of one session of 200, with 50,000 patterns learnt: from the request to three
  candidates. What each turn brought is read within.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from paste_proxy.lab.prediction.lessons import new_table, teach, tools_of, turns_of
from paste_proxy.lab.prediction.sessions import Session, Turn, read_sessions
from paste_proxy.lab.summary import quantile
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.model import Candidate, History, TurnPredictor
from paste_proxy.predict.predictor import PatternPredictor
from paste_proxy.predict.symbols import Symbol

TOKENS = 16
"""Characters of four tokens."""
CANDIDATES = 3
ROUNDS = 5
"""Of each turn's text, the fastest of which counts: the machine may have other work."""
PATTERNS = 50_000
FOLLOWERS = 50
"""Of one tool, in the patterns that are made up."""
TURNS = 200
SESSIONS = 40
THINGS = ("user", "order", "flight", "item", "page")


class Times:
    """Of one kind of event."""

    def __init__(self) -> None:
        self.micros: list[float] = []

    def take(self, work: Callable[[], Any]) -> Any:
        started = time.thread_time_ns()
        result = work()
        self.micros.append((time.thread_time_ns() - started) / 1000)
        return result

    def shares(self) -> dict[str, float]:
        return {name: round(quantile(self.micros, share), 2) for name, share in (("p50", 0.5), ("p99", 0.99))}

    @property
    def whole(self) -> float:
        return sum(self.micros)


class Listening:
    """Turns are told to a predictor as they were written."""

    def __init__(self) -> None:
        self._chunks = 0
        self._hear, self._look, self._name, self._argue = Times(), Times(), Times(), Times()

    def judge(self, predictor: PatternPredictor, session: Session, tools: frozenset[str]) -> None:
        known = tools.union(session.offered)
        for history, turn in turns_of(session):
            text = turn.reasoning
            pieces = [text[start : start + TOKENS] for start in range(0, len(text), TOKENS)]
            rounds = Times()
            for _ in range(ROUNDS):
                blind = predictor.begin(history, known)
                blind.candidates(CANDIDATES)
                rounds.take(partial(_hear, blind, pieces))
            self._chunks += len(pieces)
            self._hear.micros.append(min(rounds.micros))
            stream = predictor.begin(history, known)
            stream.candidates(CANDIDATES)
            self._look_on(stream, turn, pieces)

    def _look_on(self, stream: TurnPredictor, turn: Turn, pieces: Sequence[str]) -> None:
        for piece in pieces:
            if stream.heard(piece):
                self._look.take(partial(stream.candidates, CANDIDATES))
        for call in turn.calls:
            self._name.take(partial(self._told, stream, stream.named, call.call.tool))
            for argument in call.call.arguments.items():
                self._argue.take(partial(self._told, stream, stream.argued, *argument))
            stream.asked(call.call)

    @staticmethod
    def _told(stream: TurnPredictor, tell: Callable[..., object], *said: Any) -> None:
        tell(*said)
        stream.candidates(CANDIDATES)

    def figures(self) -> dict[str, Any]:
        chunks = self._chunks
        return {
            "chunks": {
                "chunks": chunks,
                "looks": len(self._look.micros),
                "hear": round(self._hear.whole / chunks, 3),
                "all": round((self._hear.whole + self._look.whole) / chunks, 3),
                "look": self._look.shares(),
            },
            "events": {"name": self._name.shares(), "argument": self._argue.shares()},
        }


def listening(sessions: Sequence[Session]) -> dict[str, Any]:
    taught, judged = sessions[::2], sessions[1::2]
    predictor = PatternPredictor(new_table())
    for session in taught:
        teach(predictor, session)
    times, tools = Listening(), tools_of(taught)
    for session in judged:
        times.judge(predictor, session, tools)
    return times.figures()


def decisions(session: Session) -> dict[str, float]:
    """Learning from the session's turns meanwhile, as in the proxy."""
    predictor, times = PatternPredictor(new_table()), Times()
    crowd(predictor.ledger)
    tools = tools_of([session])
    for history, turn in turns_of(session):
        times.take(partial(_decide, predictor, history, tools))
        predictor.learn(history, [one.call for one in turn.calls])
    return times.shares()


def _hear(stream: TurnPredictor, pieces: Sequence[str]) -> None:
    for piece in pieces:
        stream.heard(piece)


def _decide(predictor: PatternPredictor, history: History, tools: frozenset[str]) -> list[Candidate]:
    return predictor.begin(history, tools).candidates(CANDIDATES)


def crowd(ledger: Ledger) -> None:
    """What follows what among tools of many agents; those of the session are among them."""
    for number in range(PATTERNS // FOLLOWERS):
        context = ("last", (tool(number), "ok"), ())
        for follower in range(number, number + FOLLOWERS):
            ledger.count("next", context, Symbol(tool(follower % 400)))


def tool(number: int) -> str:
    return f"find_{THINGS[number % len(THINGS)]}_{number}"


def made_up(turns: int, sessions: int) -> Iterator[dict[str, Any]]:
    """An agent that opens one by one what lists of results name, thinking aloud."""
    rng = random.Random(0)
    for number in range(sessions):
        said: list[dict[str, Any]] = [{"role": "user", "content": "Look at all orders, please."}]
        names: list[str] = ["R0000"]
        for turn in range(turns):
            name, used = str(rng.choice(names[-8:])), tool(turn % 8)
            thought = (
                f"The list names {len(names)} orders. I should look at the next one before I can say more. "
                f"Let me find the details of {name} with {used} and see what they are about."
            )
            call = {"id": f"c{turn}", "name": used, "arguments": {"name": name, "depth": turn % 3}}
            found = [{"name": f"R{rng.randrange(10_000):04d}", "score": place} for place in range(8)]
            names += [str(one["name"]) for one in found]
            said += [
                {"role": "assistant", "content": "", "reasoning": thought, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": call["id"], "content": json.dumps({"results": found})},
            ]
        yield {
            "source": "made up",
            "session_id": str(number),
            "model": "none",
            "task": str(number),
            "tools": [],
            "turns": said,
        }


def read_made_up(turns: int, sessions: int) -> list[Session]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made-up.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in made_up(turns, sessions)), "utf-8")
        return read_sessions(path, ())


def measure(traces: Path | None) -> dict[str, Any]:
    sessions = read_made_up(12, SESSIONS) if traces is None else thinking(read_sessions(traces, ()))
    [long] = read_made_up(TURNS, 1)
    return {**listening(sessions), "decisions": decisions(long)}


def thinking(sessions: Iterable[Session]) -> list[Session]:
    found = [session for session in sessions if session.thinks]
    return found[: 2 * SESSIONS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("traces", type=Path, nargs="?", help="sessions with visible reasoning")
    json.dump(measure(parser.parse_args().traces), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
