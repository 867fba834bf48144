"""Every text of the corpus, read by us, by SGLang's detectors and by vLLM's parsers: the same calls, or listed.

It takes a minute and a half on two cores.
"""

from collections import Counter

import pytest

from tests.conformance.parsers.corpus import Case, cases
from tests.conformance.parsers.differences import Cell, Difference, Kind, differences, kind
from tests.conformance.parsers.ours import outcome
from tests.conformance.parsers.outcomes import Answers, every_job, expected
from tests.conformance.parsers.writers import WRITERS, Writer

PEERS = ("sglang", "vllm")
BY_KEY = {case.key: case for case in cases()}
BUGS = {
    "several calls in one increment": "two",
    "empty arguments": "no_arguments",
    "nested quotes": "quotes",
    "</tool_call> inside a string": "tool_call_end_in_string",
}
"""Reported bugs of streaming parsers, and the cases that are about them. Marks are cut in every case."""
JSON_BUGS = {"escapes of Unicode": "escaped_e", "escaped pairs of Unicode": "surrogate_pair"}


def test_no_two_cases_have_one_name() -> None:
    assert [key for key, times in Counter(case.key for case in cases()).items() if times > 1] == []


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: str(writer.name))
def test_reported_bugs_are_in_the_corpus_of_every_format(writer: Writer) -> None:
    wanted = {**BUGS, **(JSON_BUGS if writer.spelled else {})}
    assert {bug: name for bug, name in wanted.items() if f"{writer.name}/{name}" not in BY_KEY} == {}


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: str(writer.name))
def test_we_find_what_stands_in_the_text(writer: Writer) -> None:
    """However it is cut, and by whichever name the format is known."""
    wrong = {}
    for peer in PEERS:
        for case, mode in every_job(peer, (case for case in BY_KEY.values() if case.writer is writer)):
            if (ours := outcome(case, peer, mode)) != expected(case):
                wrong[case.key, peer, mode] = ours
    assert wrong == {}


def found(peer: str, answers: Answers) -> dict[Cell, Kind]:
    """How the peer differs, and where."""
    told: dict[Cell, Kind] = {}
    for (key, mode), one in answers.items():
        case: Case = BY_KEY[key]
        if (how := kind(expected(case), one.outcome(case))) is not None:
            told[key, mode] = how
    return told


@pytest.mark.conformance
@pytest.mark.timeout(480)  # The first test waits for the peers, whose imports alone take half a minute.
@pytest.mark.parametrize("peer", PEERS)
class TestPeers:
    def test_differs_in_nothing_that_is_not_listed(self, peer: str, answers: dict[str, Answers]) -> None:
        listed = {cell for one in listed_of(peer) for cell in one.cells(answers[peer])}
        told = found(peer, answers[peer])
        assert {cell: how for cell, how in told.items() if cell not in listed} == {}

    def test_still_differs_in_all_that_is_listed(self, peer: str, answers: dict[str, Answers]) -> None:
        told = found(peer, answers[peer])
        gone = {
            (one.why, *cell): told.get(cell)
            for one in listed_of(peer)
            for cell, says in one.cells(answers[peer]).items()
            if told.get(cell) != says
        }
        assert gone == {}

    def test_each_is_listed_once(self, peer: str, answers: dict[str, Answers]) -> None:
        times = Counter(cell for one in listed_of(peer) for cell in one.cells(answers[peer]))
        assert [cell for cell, count in times.items() if count > 1] == []
        assert [one.why for one in listed_of(peer) if not one.cells(answers[peer])] == []


def listed_of(peer: str) -> list[Difference]:
    return [one for one in differences() if one.peer == peer]
