"""What every format's fixture says: the calls in its texts, how early they are known, and what is no call."""

import html

import pytest

from paste_proxy.grammar.formats import find, names
from paste_proxy.grammar.formats.model import Marks
from tests.grammar.formats.fixture import FIXTURES, Text, check, check_all, check_known, fixture

MARKED = [name for name in names() if not find(name).in_text and name != "pythonic"]
"""Formats that mark their calls: pythonic marks nothing."""


def test_each_format_has_a_fixture() -> None:
    assert {path.stem for path in FIXTURES.iterdir()} == set(names())


@pytest.mark.parametrize("name", names())
def test_what_stands_in_the_texts(name: str) -> None:
    check_all(name, fixture(name))


@pytest.mark.parametrize("name", names())
def test_when_it_is_known(name: str) -> None:
    check_known(name, fixture(name))


@pytest.mark.parametrize("name", MARKED)
def test_marks_that_are_not_quite_right_mark_nothing(name: str) -> None:
    how = find(name).reads
    assert isinstance(how, Marks)
    marks = how.states["content"].on
    text = "As in: " + fixture(name).texts[0].plain
    for spoil in (
        lambda mark: "",
        lambda mark: mark[:-1],
        lambda mark: f"{mark[0]} {mark[1:]}",
        lambda mark: f"{mark[:-1]} {mark[-1]}",
        html.escape,
    ):
        spoilt = text
        for mark in marks:
            spoilt = spoilt.replace(mark, spoil(mark))
        if spoilt != text:
            check(name, Text(spoilt, [], content=spoilt))
