"""Why a call is expected, in words for whoever asks: what it follows, and where each of its values was seen."""

from paste_proxy.predict.memory import Memory
from paste_proxy.predict.places import Source
from paste_proxy.predict.symbols import Argument, Filling, Symbol
from paste_proxy.predict.values import Key, mask_of

SPEAKERS = {"user": "said by the user", "assistant": "said by the model", "system": "in the system prompt"}
PLACES = {
    "text": "in the text of {tool}'s result",
    "whole": "the result of {tool}",
    "said": "in an argument of {tool}",
}


def reason(memory: Memory, symbol: Symbol, filling: Filling) -> str:
    """`get_order(id: $.orders[*].id in get_user's result) after get_user (ok)`."""
    after = " then ".join([f"{one.tool} ({one.outcome})" for one in memory.signatures[-2:]])
    bound = ", ".join(
        [
            f"{_called(argument)}: {_binding(memory, key)}"
            for argument, key in filling.items()
            if key is not None
        ]
    )
    return f"{symbol}({bound}) {f'after {after}' if after else 'at the start'}"


def _called(argument: Argument) -> str:
    """Of a command's slots the place: they have no names."""
    return argument if isinstance(argument, str) else f"word {argument // 2 + 1}"


def _binding(memory: Memory, key: Key) -> str:
    """Where a value was seen last."""
    value = memory.values.get(key)
    if value is None or not value.places:
        return f"not seen before, of the form {mask_of(key)}"
    return _place(next(reversed(value.places)).source)


def _place(source: Source) -> str:
    kind, tool, where = source
    if kind in SPEAKERS:
        return SPEAKERS[kind]
    if kind == "arg":
        return f"as argument {where} of {tool}" if where else f"as in a command of {tool}"
    if kind in PLACES:
        return PLACES[kind].format(tool=tool)
    path = "$" + "".join(f".{step}" if isinstance(step, str) else "[*]" for step in where)
    return f"{'a key at ' if kind == 'key' else ''}{path} in {tool}'s result"
