import math

from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.hearing import NAMED_RIGHT, NAMED_WRONG, Hearing
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.symbols import Slot, Symbol

ID, PATH = Slot(Symbol("open"), "id"), Slot(Symbol("read"), "path")
TURNS = st.lists(st.tuples(st.sampled_from([ID, PATH]), st.booleans(), st.booleans()), max_size=60)


def test_before_anything_is_learnt_a_mention_speaks_for_a_value() -> None:
    hearing = Hearing(Ledger())
    assert math.isclose(hearing.odds(ID, named=True), NAMED_RIGHT / NAMED_WRONG)
    assert hearing.odds(ID, named=False) < 1


def test_each_argument_learns_what_a_mention_is_worth() -> None:
    hearing = Hearing(Ledger())
    for _ in range(50):
        hearing.learn(ID, right=True, named=True)
        hearing.learn(ID, right=False, named=False)
        hearing.learn(PATH, right=True, named=False)
        hearing.learn(PATH, right=False, named=True)
    assert hearing.odds(ID, named=True) > 3
    assert hearing.odds(PATH, named=True) < 1
    assert hearing.odds(ID, named=False) < 0.5 < 1 < hearing.odds(PATH, named=False)


def test_a_new_argument_goes_by_those_of_the_others() -> None:
    hearing = Hearing(Ledger())
    before = hearing.odds(PATH, named=True)
    for _ in range(50):
        hearing.learn(ID, right=True, named=True)
        hearing.learn(ID, right=False, named=False)
    assert hearing.odds(PATH, named=True) > before


@settings(max_examples=200, deadline=None)
@given(TURNS, st.booleans())
def test_odds_are_positive_and_only_one_of_the_two_speaks_for_a_value(
    turns: list[tuple[Slot, bool, bool]], named: bool
) -> None:
    hearing = Hearing(Ledger())
    for slot, right, heard in turns:
        hearing.learn(slot, right=right, named=heard)
    said, silent = (hearing.odds(ID, named=one) for one in (named, not named))
    assert 0 < said < math.inf
    assert (said - 1) * (silent - 1) <= 1e-9
