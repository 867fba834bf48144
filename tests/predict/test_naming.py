from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.heard import Heard
from paste_proxy.predict.naming import FULL, TEXT, WINDOW, Known, Naming, vocabulary
from paste_proxy.predict.symbols import Symbol

USER, ORDER, CANCEL, FIND = (
    Symbol(name) for name in ("get_user_details", "get_order_details", "cancel_order", "find_flights")
)
TOOLS = [USER, ORDER, CANCEL, FIND]
SAID = ["get", "the", "user", "order", "details", "cancel", "find", "x", "R9", "flights"]
WORDS = st.lists(st.sampled_from(SAID), max_size=60)


def heard(text: str) -> Heard:
    found = Heard()
    found.hear(text)
    found.take_in(whole=True)
    return found


def naming(text: str) -> Naming:
    found = Naming(TOOLS, Known())
    found.read(heard(text))
    return found


def best(text: str) -> list[Symbol]:
    """The symbols that are named best."""
    ways = [dict.fromkeys(one for one in mine if isinstance(one, tuple)) for mine in naming(text).features()]
    named = [next(way[1] for way in one if way[0] == "words") for one in ways]
    return [symbol for symbol, how in zip(TOOLS, named, strict=True) if how in ("best", "tied")]


def test_a_name_is_said_by_its_words() -> None:
    assert best("Let me first get the details of this order.") == [ORDER]
    assert best("I am cancelling the order now") == [CANCEL]
    assert best("I call get_user_details") == [USER]
    assert best("So I look for a flight") == [FIND]


def test_its_words_stand_close_together() -> None:
    far = f"The user wrote. {'x ' * WINDOW} So get the details"
    assert naming(far)._said == [-1] * 4
    assert naming("So get the user's details")._said[0] > 0


def test_words_that_told_a_name_tell_no_other() -> None:
    assert best("get the user's details to see their orders") == [USER]


def test_the_name_that_was_said_last_is_known() -> None:
    features = naming("get the user details, then cancel the order").features()
    assert [mine[1] for mine in features] == [("said", 1, 2), ("said", -1, 2), ("said", 0, 2), ("said", -1, 2)]


def test_what_was_said_long_ago_counts_less() -> None:
    soon, late = (naming(f"cancel the order {'x ' * many} find") for many in (0, 200))
    assert soon._score(2) > FULL
    assert late._score(2) < 0.1


def test_reading_says_whether_another_name_was_said() -> None:
    found, text = Naming(TOOLS, Known()), Heard()
    news = []
    for piece in ("well, ", "get user details ", "get user details ", "or cancel the order ", "x "):
        text.hear(piece)
        text.take_in()
        news.append(found.read(text))
    assert news == [False, True, False, True, False]


def test_texts_of_one_length_that_say_as_much_are_of_one_kind() -> None:
    assert naming("").kind() == naming("nothing at all").kind()
    assert naming("cancel the order").kind() == naming("get the user details").kind() != naming("").kind()


@settings(max_examples=200, deadline=None)
@given(WORDS, st.integers(1, 7))
def test_it_reads_the_same_in_parts(words: list[str], parts: int) -> None:
    whole = naming(" ".join(words))
    found, text = Naming(TOOLS, Known()), Heard()
    for start in range(0, len(words), parts):
        text.hear(" ".join(words[start : start + parts]) + " ")
        text.take_in()
        found.read(text)
    assert found.features() == whole.features()
    assert found.kind() == whole.kind()


def test_up_to_a_place_it_reads_no_further() -> None:
    found, text = Naming(TOOLS, Known()), heard("cancel the order, get the user details")
    found.read(text, 3)
    assert found.features() == naming("cancel the order").features()
    found.read(text)
    assert found.features() == naming("cancel the order, get the user details").features()


def test_what_is_known_of_texts_is_bounded() -> None:
    known = Known()
    known.include(["order"])
    for number in range(2 * TEXT):
        assert known[f"w{number}"] == ()
    assert known["orders"] == ("order",)
    assert len(known) <= TEXT
    for number in range(2 * TEXT):
        known.include([str(number)])
    assert len(known._stems) <= TEXT + 1
    assert known["orders"] in ((), ("order",))


def test_without_symbols_there_is_nothing_to_name() -> None:
    found = Naming([], Known())
    assert not found.read(heard("cancel it"))
    assert found.features() == []
    assert Naming([Symbol("_")], Known()).features() == [[("words", "best", 0)]]


def test_names_of_any_length_are_not_kept() -> None:
    long = Symbol("find_" * 1000)
    assert vocabulary((long,)) is not vocabulary((long,))
    assert vocabulary((Symbol("find"),)) is vocabulary((Symbol("find"),))
