"""Real sessions replayed as an unmodified SDK loop would send them, and what became of them."""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from paste_proxy.events import Identity
from paste_proxy.grammar.digests import digest, extend_chain
from paste_proxy.grammar.requests import ChatRequest, Message, parse_chat_request
from paste_proxy.sessions.table import SessionTable

TRACES = Path(__file__).resolve().parents[2] / "../shared/traces"
SYSTEM = {"role": "system", "content": "You are an agent that solves tasks with tools."}


class Exchange(NamedTuple):
    """One request of a session, and the reply that it got."""

    session: int
    request: ChatRequest
    reply: Message


def load(name: str) -> list[list[Exchange]]:
    path = TRACES / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no traces at {path}")
    with gzip.open(path, "rt") as lines:
        return [list(exchanges(number, json.loads(line))) for number, line in enumerate(lines)]


def exchanges(number: int, session: dict[str, Any]) -> Iterator[Exchange]:
    """A request at each assistant turn; a greeting that opens the session was not the model's."""
    body = json.dumps({"messages": [SYSTEM, *map(message, session["turns"])]})
    whole = parse_chat_request(body.encode())
    for at, said in enumerate(whole.messages):
        if said.role == "assistant" and at > 1:
            chain = whole.chain[:at]
            yield Exchange(number, ChatRequest(whole.messages[:at], chain, digest(chain[-1])), said)


def message(turn: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: turn[key] for key in ("role", "content", "tool_call_id") if key in turn}
    if turn.get("tool_calls"):
        kept["tool_calls"] = [
            {"id": one["id"], "function": {"name": one["name"], "arguments": json.dumps(one["arguments"])}}
            for one in turn["tool_calls"]
        ]
    return kept


class Replay:
    """Sends exchanges through a table, and counts what it made of them."""

    def __init__(self) -> None:
        self.table = SessionTable(limit=4096, idle_s=1e9)
        self.turn = 0
        self.owners: defaultdict[str, set[int]] = defaultdict(set)
        self.sessions: defaultdict[int, list[str]] = defaultdict(list)
        self.relations: Counter[str] = Counter()

    def send(self, exchange: Exchange) -> tuple[str, str]:
        self.turn += 1
        resolution = self.table.resolve(Identity(), exchange.request, float(self.turn))
        self.table.turn_opened(resolution.session, str(self.turn))
        self.owners[resolution.session].add(exchange.session)
        self.sessions[exchange.session].append(resolution.session)
        self.relations[resolution.relation] += 1
        return resolution.session, str(self.turn)

    def answer(self, exchange: Exchange, session: str, turn: str) -> None:
        reply = exchange.reply
        self.table.turn_closed(session, turn, self.turn, complete=True, text=reply.text, calls=reply.calls)

    def merges(self) -> int:
        return sum(len(owners) > 1 for owners in self.owners.values())

    def splits(self) -> int:
        """Requests that should have continued their session and did not."""
        return sum(a != b for sent in self.sessions.values() for a, b in pairwise(sent))

    def report(self, name: str) -> None:
        split = sum(len(set(sent)) > 1 for sent in self.sessions.values())
        print(
            f"{name}: {len(self.sessions)} sessions, {self.turn} requests, {self.merges()} merges, "
            f"{self.splits()} splits in {split} sessions, {dict(self.relations)}"
        )


def one_after_the_other(sessions: list[list[Exchange]], replay: Replay) -> None:
    for session in sessions:
        for exchange in session:
            replay.answer(exchange, *replay.send(exchange))


def round_robin(sessions: list[list[Exchange]], replay: Replay) -> None:
    for turn in zip_longest(*sessions):
        for exchange in filter(None, turn):
            replay.answer(exchange, *replay.send(exchange))


def all_in_flight(sessions: list[list[Exchange]], replay: Replay) -> None:
    """Every session's turn is sent before the first is answered."""
    for turn in zip_longest(*sessions):
        sent = [(exchange, *replay.send(exchange)) for exchange in filter(None, turn)]
        for exchange, session, name in reversed(sent):
            replay.answer(exchange, session, name)


@pytest.mark.parametrize("order", [one_after_the_other, round_robin, all_in_flight])
@pytest.mark.parametrize("name", ["claude-code", "tau2-bench"])
def test_no_session_is_merged_and_few_are_split(name: str, order: Any) -> None:
    sessions = load(name)
    replay = Replay()
    order(sessions, replay)
    replay.report(f"{name}, {order.__name__}")
    assert replay.merges() == 0
    assert replay.splits() < 0.01 * replay.turn


def test_every_split_is_of_twins_that_nothing_tells_apart() -> None:
    """Sessions of one task whose first user message and first reply are equal to the letter."""
    sessions = load("tau2-bench")
    replay = Replay()
    all_in_flight(sessions, replay)
    histories = Counter(history for session in sessions for history in answered(session))
    for session in sessions:
        sent = replay.sessions[session[0].session]
        for at, history in enumerate(answered(session)[:-1]):
            if sent[at] != sent[at + 1]:
                assert histories[history] > 1


def answered(session: list[Exchange]) -> list[bytes]:
    """The histories of a session with each of its replies."""
    return [extend_chain(one.request.chain[-1], one.reply.digest) for one in session]
