"""What a session and a ledger may hold at most (docs/design.md, memory), against clients that want more."""

import json
import random
import string
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

from paste_proxy.grammar.requests import Message, MessageCall
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.memory import HABITS, MADE, PLACES, SLOTS, SOURCES, USED, VALUES, Memory
from paste_proxy.predict.model import Call, History
from paste_proxy.predict.predictor import PatternPredictor
from paste_proxy.predict.signatures import finished_call
from paste_proxy.predict.symbols import Symbols
from paste_proxy.sessions.history import SessionHistory

MEMORY_BYTES = 12 << 20
HISTORY_BYTES = 12 << 20
LABEL_BYTES = 400


def bytes_of(root: object, *but: object) -> int:
    """Of all objects that it holds, each once."""
    seen, stack, whole = {id(one) for one in but}, [root], 0
    while stack:
        one = stack.pop()
        if id(one) in seen or isinstance(one, type):
            continue
        seen.add(id(one))
        whole += sys.getsizeof(one)
        stack += _held(one)
    return whole


def _held(one: Any) -> Iterator[object]:
    if isinstance(one, dict):
        yield from one.keys()
        yield from one.values()
    elif isinstance(one, list | tuple | set | frozenset | deque):
        yield from one
    else:
        names = getattr(one, "__slots__", None) or getattr(one, "__struct_fields__", None) or ()
        yield from (getattr(one, name) for name in names)
        yield from getattr(one, "__dict__", {}).values()


SOURCE = "".join(random.Random(1).choices(string.ascii_letters, k=100_000))


def word(draw: random.Random, length: int) -> str:
    """Nearly always another one."""
    start = draw.randrange(len(SOURCE) - length)
    return SOURCE[start : start + length]


def hostile(draw: random.Random, turn: int) -> tuple[Call, str]:
    """New tools, arguments, values and fields in every turn, as long as they may be; some much longer."""
    tool = word(draw, 5000 if turn % 50 == 0 else 100)
    count = 200 if turn % 40 == 1 else 64 if turn % 10 == 0 else 8
    shared = f"shared{turn % 40}"
    arguments: dict[str, Any] = {
        f"{word(draw, 20)}": draw.choice((shared, word(draw, 1000))) for _ in range(count)
    }
    arguments["command"] = f"{word(draw, 20)} {word(draw, 30000 if turn % 30 == 0 else 200)}"
    if turn % 3:
        tool = f"tool{turn % 300}"
    if turn % 8 == 1:
        return Call(tool, arguments), " ".join(word(draw, 300) for _ in range(200))
    fields = [word(draw, 40) for _ in range(60 if turn % 8 == 5 else 5)]
    return Call(tool, arguments), json.dumps({name: [{name: word(draw, 900)}] for name in fields})


def assert_memory_is_in_bounds(memory: Memory) -> None:
    assert len(memory.values) <= VALUES
    assert all(len(one.places) <= PLACES and len(one.used) <= USED for one in memory.values.values())
    assert len(memory.origins) <= SOURCES
    for kept in (memory.last, memory.before_last, memory.named, memory.made, memory.local):
        assert len(kept) <= SLOTS
    assert sum(map(len, memory.local.values())) == memory._habits <= HABITS
    assert sum(map(len, memory.made.values())) == memory._made <= MADE
    assert len(memory._unanswered) <= 64


def test_a_session_of_two_thousand_hostile_turns_stays_small() -> None:
    draw, symbols = random.Random(5), Symbols(Ledger())
    memory, history = Memory(symbols), SessionHistory("s")
    for turn in range(2000):
        call, text = hostile(draw, turn)
        memory.ask(call.tool, call.arguments)
        asked = MessageCall(str(turn), call.tool, json.dumps(call.arguments))
        answer = [] if turn % 5 == 0 else [Message("tool", text, call_id=str(turn))]
        history.take([Message("assistant", word(draw, 3000), calls=(asked,)), *answer], {})
        history.read()
        if answer and history.history.calls:
            memory.answered(history.history.calls[-1])
        if turn % 100 == 99:
            assert_memory_is_in_bounds(memory)
    assert bytes_of(memory, symbols) < MEMORY_BYTES
    assert bytes_of(history) < HISTORY_BYTES


def test_what_one_symbol_is_followed_by_is_bounded_over_all_symbols() -> None:
    memory = Memory(Symbols(Ledger()))
    for first in range(60):
        for second in range(60):
            memory.answered(finished_call(f"t{first}", {"k": second}, "ok"))
            memory.answered(finished_call(f"t{second}", {"k": first}, "ok"))
    assert_memory_is_in_bounds(memory)


def test_a_hostile_session_leaves_a_ledger_in_its_bounds() -> None:
    ledger, draw = Ledger(limit=5_000), random.Random(6)
    predictor, history = PatternPredictor(ledger), History(calls=[], session="s")
    for turn in range(50):
        call, text = hostile(draw, turn)
        predictor.begin(history, ()).heard(f"{word(draw, 2000)} {word(draw, 20)}\n")
        predictor.learn(history, [call, call])
        history.calls.append(finished_call(call.tool, call.arguments, text))
        history.session = str(turn)
    assert len(ledger) <= 5_000
    assert len(ledger) > 4_000
    assert ledger.waiting <= 625
    assert bytes_of(ledger) < LABEL_BYTES * 5_000 + (1 << 20)


def test_a_call_whose_arguments_the_history_left_out_is_none_that_may_be_made_again() -> None:
    history, memory = SessionHistory("s"), Memory(Symbols(Ledger()))
    long, whole = {"path": "a.py", "text": "x" * 5000}, {"path": "b.py", "text": "y"}
    for number, arguments in enumerate((long, whole)):
        call = MessageCall(str(number), "write", json.dumps(arguments))
        history.take([Message("assistant", "", calls=(call,)), Message("tool", "ok", call_id=str(number))], {})
    history.read()
    assert [call.whole for call in history.history.calls] == [False, True]
    for one in history.history.calls:
        memory.answered(one)
    [made] = memory.made.values()
    assert [dict(call[1])["path"] for call in made] == [("str", "b.py")]


def test_what_a_turn_that_was_cut_off_expected_is_not_taken_for_the_next_one_s() -> None:
    predictor, history = PatternPredictor(Ledger()), SessionHistory("s")
    history.take([Message("user", "go")], {})
    history.read()
    predictor.begin(history.history, ()).candidates(3)
    assert history.history.memory.looks
    history.take([Message("assistant", "I was cut"), Message("user", "go on")], {})
    history.read()
    predictor._remember(history.history)
    assert not history.history.memory.looks
