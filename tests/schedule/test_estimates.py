"""What is learnt of applications and of backends: at once from the first turns, slowly from later ones.

What ends of sessions mean is in `tests/test_endings.py`.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.schedule.estimates import (
    APPLICATIONS,
    FADES,
    KNOWN,
    LEAST_TOKENS,
    OUTPUT,
    TOOLS,
    WEIGHT,
    Application,
    Applications,
    Mean,
    Rates,
)


def test_a_mean_begins_with_what_was_expected_and_forgets_that_at_the_first_sight() -> None:
    mean = Mean(400.0)
    assert mean.value == 400.0
    mean.add(10.0)
    assert mean.value == 10.0
    mean.add(20.0)
    assert mean.value == 15.0


def test_of_many_the_latest_count_more() -> None:
    mean = Mean()
    for _ in range(1000):
        mean.add(0.0)
    mean.add(1.0)
    assert mean.value == pytest.approx(WEIGHT)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_a_mean_lies_between_the_least_and_the_most(values: list[float]) -> None:
    mean = Mean(1e6 + 1)
    for value in values:
        mean.add(value)
    assert min(values) - 1e-6 <= mean.value <= max(values) + 1e-6


# -- applications ---------------------------------------------------------------------------------------------


def test_a_session_grows_by_its_reply_and_what_comes_with_the_next_request() -> None:
    application = Application()
    assert application.growth == 2 * OUTPUT
    application.output.add(100.0)
    application.fresh.add(50.0)
    assert application.growth == 150


def test_sessions_are_expected_to_return_until_enough_were_seen_that_do_not() -> None:
    application = Application()
    for _ in range(KNOWN - 1):
        application.came(first=True)
        assert application.returns
    application.came(first=True)
    assert not application.returns
    for _ in range(3):
        application.came(first=False)
    assert application.returns, "others than before use it"


def test_an_end_is_none_where_half_of_those_that_ended_went_on() -> None:
    application = Application()
    for _ in range(KNOWN):
        application.ended()
    assert not application.goes_on
    for _ in range(20):
        application.ended()
        application.went_on()
    assert application.goes_on


def test_two_of_three_ends_that_were_ends_are_too_many() -> None:
    application = Application()
    for _ in range(20):
        application.went_on()
        for _ in range(3):
            application.ended()
    assert not application.goes_on


def test_times_away_are_known_by_tool_and_the_longest_unused_are_forgotten() -> None:
    application = Application()
    assert (application.away_s("look"), application.mean_away_s) == (0.0, 0.0)
    application.was_away("look", 2.0)
    application.was_away("edit", 4.0)
    application.was_away("", 100.0)
    assert application.away_s("look") == 2.0
    assert application.mean_away_s == 3.0, "without a call nothing is hidden"
    for number in range(TOOLS - 2):
        application.was_away(f"tool-{number}", 1.0)
    application.was_away("look", 2.0)
    application.was_away("one more", 1.0)
    assert application.away_s("look") == 2.0
    assert application.away_s("edit") == 0.0
    assert application.away_s("") == 0.0


def test_an_application_is_who_offers_the_same_tools_to_the_same_model_for_the_same_tenant() -> None:
    applications = Applications()
    one = applications.of("t", "m", ["a", "b"])
    assert applications.of("t", "m", ["a", "b"]) is one
    others = [("u", "m", ["a", "b"]), ("t", "n", ["a", "b"]), ("t", "m", ["a"]), ("t", "m", ["ab"])]
    assert all(applications.of(*other) is not one for other in others)


def test_names_that_run_together_are_kept_apart() -> None:
    applications = Applications()
    assert applications.of("t", "ma", ["b"]) is not applications.of("t", "m", ["ab"])
    assert applications.of("t", "m", ["1:a"]) is not applications.of("t", "m1:a", [])


def test_the_application_longest_unused_is_forgotten() -> None:
    applications = Applications()
    first, second = applications.of("t", "first", []), applications.of("t", "second", [])
    for number in range(APPLICATIONS - 2):
        applications.of("t", f"{number}", [])
    assert applications.of("t", "first", []) is first
    applications.of("t", "one more", [])
    assert applications.of("t", "first", []) is first
    assert applications.of("t", "second", []) is not second


# -- backends -------------------------------------------------------------------------------------------------


def test_the_best_rate_of_late_is_how_fast_an_engine_reads() -> None:
    rates = Rates()
    rates.read(10_000, 0.0, 1.0)
    rates.read(10_000, 0.0, 4.0)
    assert rates.prefill == pytest.approx(FADES * 10_000), "the turn had waited for others"
    for _ in range(10_000):
        rates.read(10_000, 0.0, 4.0)
    assert rates.prefill == 2500.0, "another model"


def test_what_all_turns_read_in_some_minutes_is_the_least_that_an_engine_reads() -> None:
    rates = Rates()
    for second in range(300):
        rates.read(10_000, second - 20.0, float(second))
    assert rates.prefill == pytest.approx(10_000 * 161 / 180), (
        "161 in the first 180 seconds: none was read in 20"
    )


def test_short_turns_alone_say_nothing_however_long_they_go_on() -> None:
    rates = Rates()
    for second in range(400):
        rates.read(LEAST_TOKENS - 1, float(second), second + 0.01)
    assert rates.prefill == 0.0, "the engine was idle most of the time"


def test_replies_that_end_together_make_no_engine_faster() -> None:
    rates = Rates()
    for number in range(64):  # each is read in its turn, and all go on for long
        rates.read(20_000, 0.0, 1.5 * (number + 1))
    assert rates.prefill <= 20_000 / 1.5


def test_what_is_short_or_took_no_time_says_nothing_of_rates() -> None:
    rates = Rates()
    rates.read(LEAST_TOKENS - 1, 0.0, 1e-6)
    rates.read(10_000, 0.0, 0.0)
    rates.wrote(1, 1.0)
    rates.wrote(100, 0.0)
    assert (rates.prefill, rates.decode) == (0.0, 0.0)


def test_a_turn_takes_the_time_to_read_and_to_write_as_far_as_it_is_known() -> None:
    rates = Rates()
    assert rates.seconds(10_000, 100) == 0.0
    rates.read(10_000, 0.0, 2.0)
    assert rates.seconds(10_000, 100) == 2.0
    rates.wrote(101, 4.0)
    assert rates.decode == 25.0, "the first token comes with the prompt's end"
    assert rates.seconds(10_000, 100) == 6.0
