"""On the same text in the same increments, nothing of a call is known later to us than to SGLang's client."""

from collections.abc import Iterator

import pytest

from tests.conformance.parsers.corpus import Case, cases
from tests.conformance.parsers.differences import kind
from tests.conformance.parsers.milestones import Milestones, ours, theirs
from tests.conformance.parsers.outcomes import Answers, expected
from tests.conformance.parsers.writers import WRITERS, Writer

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.timeout(480),  # The first test waits for the peers, whose imports alone take half a minute.
]
BY_KEY = {case.key: case for case in cases()}
WHOLE = [writer for writer in WRITERS if writer.whole]


def both(answers: Answers) -> Iterator[tuple[Case, str, Milestones, Milestones]]:
    """Every call of every text that SGLang streams rightly: case, mode, its milestones and ours."""
    for (key, mode), told in answers.items():
        case = BY_KEY[key]
        if mode != "whole" and kind(expected(case), told.outcome(case)) is None:
            for call in zip(theirs(case, told), ours(case, "sglang", mode), strict=True):
                yield case, mode, *call


def test_nothing_is_known_later_than_from_sglang(answers: dict[str, Answers]) -> None:
    later = {
        (case.key, mode, what): (mine.all()[what], at)
        for case, mode, its, mine in both(answers["sglang"])
        for what, at in its.all().items()
        if mine.all()[what] > at
    }
    assert later == {}


@pytest.mark.parametrize("writer", WHOLE, ids=lambda writer: str(writer.name))
def test_calls_that_sglang_tells_whole_are_known_earlier(writer: Writer, answers: dict[str, Answers]) -> None:
    """Token by token, so that no increment holds a whole call. What the text itself does not say before its
    end, such as a number before the last brace, can't be known earlier."""
    answered = {
        (key, mode): told
        for (key, mode), told in answers["sglang"].items()
        if mode == "tokens:1" and BY_KEY[key].writer is writer
    }
    compared = list(both(answered))
    assert len(compared) > 20
    late = {
        (case.key, what): (mine.all()[what], at)
        for case, _, its, mine in compared
        for what, at in its.all().items()
        if mine.all()[what] >= at and mine.all()[what] != mine.seal
    }
    assert late == {}
