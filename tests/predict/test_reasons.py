import json
from typing import Any

import pytest

from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.model import Said
from paste_proxy.predict.reasons import reason
from paste_proxy.predict.signatures import finished_call
from paste_proxy.predict.symbols import Filling, Symbol, Symbols

OPEN = Symbol("open")
SED = Symbol("bash", "command", ("", "sed", " -n ", ("0",), "p ", ("path",), ""))


def memory_of() -> Memory:
    memory = Memory(Symbols(Ledger()))
    memory.said(Said("user", "Order W-7, please", 0))
    for tool, arguments, result in CALLS:
        memory.answered(
            finished_call(tool, arguments, result if isinstance(result, str) else json.dumps(result))
        )
    return memory


CALLS: list[tuple[str, dict[str, Any], Any]] = [
    ("get_user", {"id": "u1"}, {"orders": [{"id": "A1"}], "by_id": {"K-1 x": 1}}),
    ("grep", {"for": "x"}, "see src/a.py and then B2"),
]


@pytest.mark.parametrize(
    ("symbol", "filling", "words"),
    [
        (OPEN, {"id": ("str", "A1")}, "open(id: $.orders[*].id in get_user's result)"),
        (OPEN, {"id": ("str", "W-7")}, "open(id: said by the user)"),
        (OPEN, {"id": ("str", "B2")}, "open(id: in the text of grep's result)"),
        (OPEN, {"id": ("str", "u1")}, "open(id: as argument id of get_user)"),
        (OPEN, {"id": ("str", "C3")}, "open(id: not seen before, of the form x2)"),
        (OPEN, {"id": ("str", "K-1 x")}, "open(id: a key at $.by_id in get_user's result)"),
        (OPEN, {"id": None}, "open()"),
        (SED, {5: ("str", "src/a.py")}, "bash: sed -n _p _(word 3: in the text of grep's result)"),
    ],
)
def test_a_reason_says_where_each_value_was_seen(symbol: Symbol, filling: Filling, words: str) -> None:
    assert reason(memory_of(), symbol, filling) == f"{words} after get_user (ok) then grep (ok)"


def test_at_the_start_nothing_was_before() -> None:
    assert reason(Memory(Symbols(Ledger())), OPEN, {}) == "open() at the start"
