from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.ledger import WITNESSES, Ledger
from paste_proxy.predict.symbols import (
    LONGEST_COMMAND,
    MOST_SLOTS,
    Filling,
    Symbol,
    Symbols,
    is_symbol,
    written,
)
from paste_proxy.predict.values import Key


def symbols_of(*commands: str, sessions: int = WITNESSES) -> Symbols:
    """That have seen these commands in so many sessions."""
    symbols = Symbols(Ledger())
    for number in range(sessions):
        for command in commands:
            symbols.learn("bash", {"command": command}, str(number))
    return symbols


def apart(symbols: Symbols, command: str) -> tuple[str, Filling]:
    symbol, filling = symbols.apart("bash", {"command": command})
    return str(symbol), filling


def test_a_command_is_common_words_and_slots() -> None:
    symbols = symbols_of("sed -n 10,20p app.py", "sed -n 30,40p lib.py")
    name, filling = apart(symbols, "sed -n 11,21p src/new.py")
    assert name == "bash: sed -n _,_p _"
    assert filling == {5: ("str", "11"), 7: ("str", "21"), 11: ("str", "src/new.py")}


def test_files_and_numbers_are_slots_however_common() -> None:
    symbols = symbols_of("python test.py", "head -n 20 src/app.py")
    assert apart(symbols, "python test.py") == ("bash: python _", {3: ("str", "test.py")})
    assert apart(symbols, "head -n 20 src/app.py")[0] == "bash: head -n _ _"


def test_a_word_of_few_sessions_is_a_slot_and_none_of_its_own() -> None:
    seldom = symbols_of("grep -rn secret src", sessions=WITNESSES - 1)
    assert apart(seldom, "grep -rn secret src") == ("bash", {"command": ("str", "grep -rn secret src")})
    often = symbols_of("grep -rn")
    assert apart(often, "grep -rn secret") == ("bash: grep -rn _", {5: ("str", "secret")})


def test_of_a_long_command_only_the_first_word_is_known() -> None:
    symbols = symbols_of("python -c")
    slots = " ".join(f"x{n}" for n in range(MOST_SLOTS + 1))
    for command in (f"python -c {slots}", "python -c " + "x " * LONGEST_COMMAND, "python -c a\nb"):
        symbol, filling = symbols.apart("bash", {"command": command})
        assert str(symbol) == "bash: python ..."
        assert symbol.open
        assert filling == {}
        assert symbols.together(symbol, {}) is None


def test_the_first_word_may_stand_behind_a_change_of_folder() -> None:
    symbols = symbols_of("cd /repo && pytest -q")
    assert apart(symbols, "cd /repo && pytest tests/x.py")[0] == "bash: cd /repo && pytest _"


def test_other_arguments_stay_arguments() -> None:
    symbols = symbols_of("ls -l")
    symbol, filling = symbols.apart("bash", {"timeout": 5, "command": "ls -l x1", "note": "y" * 2000})
    assert filling == {"timeout": ("int", 5), "note": None, 5: ("str", "x1")}
    keys: dict[int | str, Key] = {"timeout": ("int", 6), 5: ("str", "x2")}
    assert symbols.together(symbol, keys) == (
        "bash",
        frozenset({("timeout", ("int", 6)), ("command", ("str", "ls -l x2"))}),
    )


def test_slots_of_different_shapes_are_different_symbols() -> None:
    symbols = symbols_of("cat -n")
    assert symbols.apart("bash", {"c": "cat -n a.py"}) == symbols.apart("bash", {"c": "cat -n a.py"})
    path, number = (symbols.apart("bash", {"command": f"cat -n {word}"})[0] for word in ("a.py", "17"))
    assert path != number


WORDS = st.sampled_from(
    ["sed", "-n", "10,20p", "cat", "a.py", "src/b.py", "|", "&&", "'x y'", "é", "  ", '"', ";"]
)
VALUES = st.integers() | st.booleans() | st.none() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(WORDS, max_size=12).map(" ".join),
    st.dictionaries(st.sampled_from(["timeout", "cwd", "input"]), VALUES, max_size=3),
    st.booleans(),
)
def test_a_call_comes_together_as_it_was(command: str, others: dict[str, Any], first: bool) -> None:
    symbols = symbols_of("sed -n", "cat | cat && sed")
    arguments = {"command": command, **others} if first else {**others, "command": command}
    symbol, filling = symbols.apart("bash", arguments)
    keys = {name: key for name, key in filling.items() if key is not None}
    if not symbol.open and len(keys) == len(filling):
        assert symbols.together(symbol, keys) == written("bash", arguments)
    assert is_symbol(symbol)
    assert is_symbol(tuple(symbol))


def test_a_call_with_content_can_not_be_written() -> None:
    assert written("write", {"text": "x" * 5000}) is None
    assert written("write", {"text": "x"}) == ("write", frozenset({("text", ("str", "x"))}))


@pytest.mark.parametrize(
    "other", [(), ("a", "b"), ("out", "tool", ("f",)), ("last", ("a", "ok"), ()), ("a", "b", (), 1)]
)
def test_nothing_else_looks_like_a_symbol(other: tuple[Any, ...]) -> None:
    assert not is_symbol(other)


def test_symbols_are_readable() -> None:
    assert str(Symbol("open")) == "open"
    assert str(Symbol("bash", "command", ("", "ls", " ", ("path",)))) == "bash: ls _"
