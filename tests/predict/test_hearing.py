import math

from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.heard import Heard
from paste_proxy.predict.hearing import Hearing
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.privacy import savable
from paste_proxy.predict.symbols import Slot, Symbol
from paste_proxy.predict.values import Key

OPEN, READ = Symbol("open_file"), Symbol("read_page")
ID, PATH = Slot(OPEN, "id"), Slot(READ, "path")
KEYS: list[Key] = [("str", name) for name in ("R1", "R2", "R3")]
EVEN = [0.25] * 4
NAMES = st.lists(st.sampled_from(["R1", "R2", "R3", "id", "open", "file", "page", "x"]), max_size=12)


def heard(text: str) -> Heard:
    found = Heard()
    found.hear(text)
    found.take_in(whole=True)
    return found


def chances(hearing: Hearing, text: str, slot: Slot = ID) -> list[float]:
    return hearing.values(slot, KEYS, EVEN, heard(text))


def test_before_anything_is_learnt_a_mention_speaks_for_a_value() -> None:
    first, second, third, none = chances(Hearing(Ledger()), "now R2")
    assert second > 0.5
    assert first == third == none


def test_without_a_mention_all_stays_as_it_was() -> None:
    assert chances(Hearing(Ledger()), "nothing at all") == EVEN


def test_each_argument_learns_what_a_mention_is_worth() -> None:
    hearing = Hearing(Ledger())
    for number in range(60):
        right, wrong = KEYS[number % 3], KEYS[(number + 1) % 3]
        hearing.learn_value(ID, KEYS, EVEN, heard(f"so {right[1]} it is"), right)
        hearing.learn_value(PATH, KEYS, EVEN, heard(f"not {wrong[1]} again"), right)
    assert chances(hearing, "so R2 it is")[1] > 0.8
    assert chances(hearing, "not R2 again", PATH)[1] < 0.25


def test_the_order_of_mentions_is_learnt() -> None:
    hearing = Hearing(Ledger())
    for number in range(60):
        first, second = KEYS[number % 3], KEYS[(number + 1) % 3]
        hearing.learn_value(ID, KEYS, EVEN, heard(f"from {first[1]} to {second[1]}"), second)
    found = chances(hearing, "from R3 to R1")
    assert found[0] > found[2]


def test_the_word_for_the_argument_names_none_of_its_values() -> None:
    keys: list[Key] = [("str", "ID"), ("str", "R1")]
    even = [1 / 3] * 3
    assert Hearing(Ledger()).values(ID, keys, even, heard("what ID is it?")) == even


def test_what_an_earlier_call_has_is_done() -> None:
    hearing = Hearing(Ledger())
    text = heard("R1 and R2")
    text.gave(OPEN, {"id": KEYS[0]})
    first, second, *_ = hearing.values(ID, KEYS, EVEN, text)
    assert second > first


def likely(hearing: Hearing, text: str) -> dict[Symbol, float]:
    naming = hearing.naming({OPEN: 0.4, READ: 0.4})
    naming.read(heard(text))
    return hearing.symbols({OPEN: 0.4, READ: 0.4}, naming)


def test_a_tool_that_is_named_is_likelier() -> None:
    found = likely(Hearing(Ledger()), "let me open the file")
    assert found[OPEN] > found[READ]


def test_what_naming_a_tool_is_worth_is_learnt() -> None:
    hearing = Hearing(Ledger())
    for _ in range(80):
        hearing.learn_symbol({OPEN: 0.4, READ: 0.4}, heard("let me open the file"), READ)
        hearing.learn_symbol({OPEN: 0.4, READ: 0.4}, heard("let me read the page"), OPEN)
    found = likely(hearing, "let me open the file")
    assert found[OPEN] < found[READ]


def test_texts_without_a_call_behind_them_are_learnt() -> None:
    hearing = Hearing(Ledger())
    for _ in range(40):
        hearing.learn_symbol({OPEN: 0.4, READ: 0.4}, heard("let me open the file"), OPEN)
        hearing.learn_symbol({OPEN: 0.4, READ: 0.4}, heard("thank you very much"), None)
    assert sum(likely(hearing, "thank you").values()) < 0.65
    assert sum(likely(hearing, "let me open the file").values()) > 0.9


def test_where_nothing_was_said_nothing_is_learnt() -> None:
    ledger = Ledger()
    Hearing(ledger).learn_symbol({OPEN: 1.0}, Heard(), OPEN)
    assert len(ledger) == 0


def test_all_that_arguments_and_tools_share_is_kept_on_disk() -> None:
    ledger = Ledger()
    hearing = Hearing(ledger)
    for text in (
        "now R1",
        "the id R1, then R2 and R3",
        "let me open the file",
        "open_file, read_page, open",
        "x",
    ):
        said = heard(text)
        for right in (OPEN, READ, None):
            hearing.learn_symbol({OPEN: 0.4, READ: 0.4}, said, right)
        hearing.learn_value(ID, KEYS, EVEN, said, KEYS[0])
        said.gave(OPEN, {"id": KEYS[0]})
        hearing.learn_value(ID, KEYS, EVEN, said, KEYS[1])
    groups = [(key, group) for key, group in ledger.groups() if key[1] != ID]
    assert len(groups) == 6
    for key, group in groups:
        saved = savable(ledger, key, group)
        assert saved is not None, key
        assert dict(saved.labels) == group


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(NAMES, st.sampled_from([*KEYS, ("str", "other")]), st.booleans()), max_size=20), NAMES
)
def test_chances_remain_chances(turns: list[tuple[list[str], Key, bool]], said: list[str]) -> None:
    hearing = Hearing(Ledger())
    for words, right, read in turns:
        hearing.learn_value(ID, KEYS, EVEN, heard(" ".join(words)), right)
        hearing.learn_symbol({OPEN: 0.5, READ: 0.2}, heard(" ".join(words)), READ if read else None)
    found = chances(hearing, " ".join(said))
    assert math.isclose(sum(found), 1.0)
    assert min(found) >= 0
    symbols = likely(hearing, " ".join(said))
    assert 0 <= min(symbols.values()) <= sum(symbols.values()) <= 1 + 1e-9
