import time

from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.heard import BATCH, GIVEN, LONGEST, WORDS, Heard, stem, stems_of, words_of
from paste_proxy.predict.symbols import Symbol

TEXT = st.text("ab1R9. -/:\n", max_size=200)


def heard(text: str) -> Heard:
    found = Heard()
    found.hear(text)
    found.take_in(whole=True)
    return found


def test_a_value_has_the_places_where_it_was_named_first_and_last() -> None:
    found = heard("R9, then R10; and R9 again: 12 for Ann Lee.")
    assert found.places(("str", "R9")) == (0, 4)
    assert found.places(("str", "R10")) == (2, 2)
    assert found.places(("int", 12)) == (6, 6)
    assert found.places(("str", "Ann Lee")) == (8, 8)
    for silent in (
        ("str", "R1"),
        ("str", "Ann Smith"),
        ("str", ""),
        ("str", " "),
        ("bool", True),
        ("json", "[1]"),
    ):
        assert found.places(silent) is None


def test_what_is_named_may_be_labelled() -> None:
    found = heard("The user's id is R9 and not R10.")
    assert found.says(found.places(("str", "R9"))[0], ["user"])  # type: ignore[index]
    assert not found.says(0, ["user"])


def test_the_last_word_waits_for_its_rest() -> None:
    found = Heard()
    found.hear("So R9")
    assert found.take_in() == ["So"]
    assert found.waits
    assert found.take_in() == []
    found.hear("9 is ")
    assert found.take_in() == ["R99", "is"]


def test_it_is_taken_in_once_there_is_enough() -> None:
    found = Heard()
    assert not found.hear("x" * (BATCH - 1))
    assert found.hear("x")


@settings(max_examples=200, deadline=None)
@given(TEXT, st.integers(1, 40))
def test_the_same_is_heard_however_it_comes(text: str, size: int) -> None:
    pieces = Heard()
    for start in range(0, len(text), size):
        if pieces.hear(text[start : start + size]):
            pieces.take_in()
    pieces.take_in(whole=True)
    assert pieces.since(0) == heard(text).since(0)


def test_what_it_holds_is_bounded() -> None:
    found = Heard()
    for number in range(3 * WORDS):
        found.hear(f"w{number} ")
        found.take_in()
    assert WORDS <= len(found._words) < 2 * WORDS
    assert len(found._last) == len(found._words)
    assert len(found) == 3 * WORDS
    last = 3 * WORDS - 1
    assert found.places(("str", f"w{last}")) == (last, last)
    assert found.places(("str", "w0")) is None
    assert found.since(last) == (last, [f"w{last}"])
    assert found.since(0)[0] == len(found) - len(found._words)


def test_what_has_no_end_is_no_word() -> None:
    assert len(heard("x" * LONGEST)) == 1
    assert len(heard("x" * (LONGEST + 1))) == 0
    found = Heard()
    for _ in range(99):
        found.hear("x" * LONGEST)
        found.take_in()
    assert len(found.waiting) <= LONGEST


def test_what_calls_have_is_given_and_bounded() -> None:
    found = Heard()
    for number in range(2 * GIVEN):
        found.gave(Symbol("open"), {"id": ("int", number), "text": None})
    assert len(found.given) == GIVEN
    found.end()
    assert found.given == set()


def test_an_address_is_named_as_a_whole_whatever_its_scheme() -> None:
    heard = Heard()
    heard.hear("so I look at docs://page7?ref=ab-3 then ")
    heard.take_in()
    assert heard.places(("str", "docs://page7?ref=ab-3")) == (4, 4)


def test_forms_of_a_word_have_one_stem() -> None:
    assert len({stem(word) for word in ("cancel", "Cancelled", "cancelling", "cancellation")}) == 1
    assert stem("baggage") == stem("baggages")
    assert stem("") == ""
    assert stem("is") == "is"


def test_names_have_the_stems_of_their_words() -> None:
    assert stems_of("get_user_details") == stems_of("getUserDetails") == ("get", "user", "detai")
    assert stems_of("one-stop") == ("one", "stop", "onest")
    assert stems_of("12") == ()


def test_values_are_named_by_their_words() -> None:
    assert words_of(("int", 3)) == ("3",)
    assert words_of(("str", "Ann Lee")) == ("Ann", "Lee")
    assert words_of(("float", 1.5)) == ()


def test_where_values_were_named_first_is_found_without_a_search() -> None:
    found = Heard()
    words = [f"w{number}" for number in range(2 * WORDS - 1)]
    found.hear(" ".join(words))
    found.take_in(whole=True)
    start = time.process_time()
    for _ in range(10):
        for place, word in enumerate(words):
            assert found.places(("str", word)) == (place, place)
    assert time.process_time() - start < 1.0  # 0.05 here; a search of all words took 5
    for word in ("new", "w0", "new", "w4000"):  # the former half is forgotten with the first of them
        found.hear(f"{word} ")
        found.take_in()
    assert found.places(("str", "new")) == (2 * WORDS - 1, 2 * WORDS + 1)
    assert found.places(("str", "w0")) == (2 * WORDS, 2 * WORDS)
    assert found.places(("str", "w4000")) == (4000, 2 * WORDS + 2)
    assert found.places(("str", "w1")) is None
