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
WHOLE = [writer for writer in WRITERS if writer.whole]


def both(answers: Answers, writer: Writer | None = None) -> Iterator[tuple[Case, str, Milestones, Milestones]]:
    """Every call of every text that SGLang streams rightly: case, mode, its milestones and ours."""
    for case in cases():
        for mode in {mode for key, mode in answers if key == case.key} - {"whole"}:
            told = answers[case.key, mode]
            if (writer is None or case.writer is writer) and kind(expected(case), told.outcome(case)) is None:
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
    """Character by character, so that no increment holds a whole call."""
    compared = [one for one in both(answers["sglang"], writer) if one[1] == "tokens:1"]
    assert len(compared) > 20
    late = {
        (case.key, what): (mine.all()[what], at)
        for case, _, its, mine in compared
        for what, at in its.all().items()
        if what != "seal" and mine.all()[what] >= at
    }
    assert late == {}
