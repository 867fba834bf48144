"""The budget: no thrash, no holding; and no spiral."""

from paste_proxy.schedule.thrash import CALM, FULL, LEAST, QUIET, WINDOW_S, Budget

SIZES = [40_000] * 20


def windows(budget: Budget, lost: float, count: int, *, holds: bool = True, start: int = 0) -> None:
    """So many windows in which this share of all prompts is lost."""
    for number in range(start, start + count + 1):
        budget.adjust(SIZES, number * WINDOW_S, holds=holds)
        budget.used(100_000, round(lost * 100_000))


def test_an_unknown_memory_has_no_limit_until_prompts_get_lost() -> None:
    budget = Budget()
    windows(budget, 0.05, 3)
    assert budget.tokens is None
    windows(budget, 0.5, 1, start=4)
    assert budget.tokens == 0.92 * 800_000


def test_a_known_one_is_filled_and_a_little_more_until_prompts_get_lost() -> None:
    budget = Budget()
    budget.knows(900_000)
    windows(budget, 0.09, 9)
    assert budget.tokens == CALM * 900_000
    windows(budget, 0.5, 1, start=10)
    assert budget.tokens is not None
    assert LEAST * 900_000 <= budget.tokens < FULL * 900_000


def test_it_is_as_before_when_nobody_had_to_wait_for_a_while() -> None:
    budget = Budget()
    budget.knows(900_000)
    windows(budget, 0.5, 1)
    windows(budget, 0.05, QUIET - 2, holds=False, start=2)
    windows(budget, 0.05, 1, start=2 + QUIET)
    assert budget.tokens != CALM * 900_000, "somebody waited"
    windows(budget, 0.05, QUIET, holds=False, start=9 + QUIET)
    assert budget.tokens == CALM * 900_000


def test_it_never_falls_so_far_that_turns_without_leases_rule() -> None:
    budget = Budget()
    budget.knows(900_000)
    windows(budget, 0.9, 50)
    assert budget.tokens == LEAST * 900_000


def test_it_recovers_at_once_up_to_what_fits_and_probes_slowly_beyond() -> None:
    budget = Budget()
    budget.knows(900_000)
    windows(budget, 0.9, 50)
    windows(budget, 0.0, 10, start=51)
    assert budget.tokens is not None
    fell = budget.tokens
    assert fell > FULL * 900_000
    windows(budget, 0.0, 10, start=62)
    assert 0 < budget.tokens - fell < 10_000
