from paste_proxy.predict.filling import Filled
from paste_proxy.predict.heard import BATCH, Heard
from paste_proxy.predict.hearing import Hearing
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.listening import Listening
from paste_proxy.predict.symbols import Slot, Symbol
from paste_proxy.predict.values import Key

OPEN, READ = Symbol("open_file"), Symbol("read_page")
ID, PATH = Slot(OPEN, "id"), Slot(READ, "path")
REST = " x" * BATCH + " "


def filled(*names: str, faint: str = "") -> Filled:
    keys: list[Key] = [("str", name) for name in names]
    chances = [0.001 if name == faint else 0.3 for name in names]
    return Filled(keys, [*chances, 0.1])


def listening() -> Listening:
    """It was asked about all once."""
    found = Listening(Hearing(Ledger()), Heard())
    found.symbols({OPEN: 0.5, READ: 0.5})
    found.values(ID, filled("R1", "R2", "R3", faint="R3"))
    found.values(PATH, filled("a.txt", "b.txt"))
    return found


def test_only_what_is_touched_is_weighed_anew() -> None:
    found = listening()
    before = found.values(PATH, filled())
    found.hear("so R2" + REST)
    assert found.take_stale() == {OPEN}
    assert found.take_stale() == set()
    weighed = {key: chance for chance, key in found.values(ID, filled("R1", "R2", "R3", faint="R3"))}
    assert weighed["str", "R2"] > weighed["str", "R1"]
    assert found.values(PATH, filled()) == before


def test_a_first_mention_is_news_and_a_second_one_is_none() -> None:
    found = listening()
    assert not found.hear("nothing" + REST)
    assert found.hear("R1" + REST)
    assert not found.hear("R1" + REST)
    assert not found.hear("R3" + REST), "it was never likely"
    assert found.hear("let me open the file" + REST)


def test_what_the_first_words_name_is_news_too() -> None:
    found = Listening(Hearing(Ledger()), Heard())
    found.symbols({OPEN: 0.5, READ: 0.5})
    found.hear("x" + REST)
    found.take_in(whole=True)
    other = Listening(Hearing(Ledger()), Heard())
    other.symbols({OPEN: 0.5, READ: 0.5})
    for one in (found, other):
        one.expect(ID, filled("R1", "R2", "R3", faint="R3"))
    assert not found.hear("nothing" + REST)
    assert found.hear("so R1" + REST)
    assert other.hear("so R1" + REST)


def test_what_was_said_before_it_was_asked_counts_too() -> None:
    found = Listening(Hearing(Ledger()), Heard())
    assert found.hear("open the file R2" + REST)
    symbols = found.symbols({OPEN: 0.5, READ: 0.5})
    assert symbols[OPEN] > symbols[READ]
    [*_, (chance, _)] = found.values(ID, filled("R1", "R2"))
    assert chance > 0.5


def test_until_something_is_said_all_is_as_it_was() -> None:
    found = Listening(Hearing(Ledger()), Heard())
    chances = {OPEN: 0.5, READ: 0.3}
    assert found.symbols(chances) == chances


def test_it_moves_on_to_other_calls() -> None:
    found = listening()
    found.move_on()
    assert found.hear("R1" + REST)
    assert found.take_stale() == set()
    assert set(found.symbols({READ: 1.0})) == {READ}
