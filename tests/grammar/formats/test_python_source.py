"""Logical lines end where Python ends them."""

import io
import tokenize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.formats.python_source import SourceScanner
from tests.grammar.formats.found import CUTS, pieces


def line_ends(source: str, lengths: list[int]) -> list[int]:
    """Behind which characters a logical line ends."""
    scanner = SourceScanner()
    ends = []
    done = 0
    for piece in pieces(source, lengths):
        at = 0
        while at < len(piece):
            at = scanner.feed(piece, at)
            if scanner.line_ended:
                ends.append(done + at)
        done += len(piece)
    return ends


def python_says(source: str) -> list[int]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return [
        starts[token.start[0] - 1] + token.end[1]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type in (tokenize.NEWLINE, tokenize.NL) and token.string
    ]


SOURCE = """x = f(1,
  2)  # a comment ( with ' a quote
y = '''a
"quoted" \\''' b''' + "it's" + ''

z = [")", '(', {"a": r'\\\\'}]; w = 1 \\
  + 2
print(\"\"\"x\"\" \"y\"\"\")
"""


@pytest.mark.parametrize("lengths", [[], [1], [3, 2]])
def test_lines_end_where_python_ends_them(lengths: list[int]) -> None:
    # Inside of brackets Python tells of line ends too; those are not ends of logical lines.
    inner = SOURCE.index("\n") + 1
    assert line_ends(SOURCE, lengths) == [end for end in python_says(SOURCE) if end != inner]


@given(st.text(st.sampled_from("ab\"'\\\n#()[]{} "), max_size=40), CUTS)
def test_no_cut_matters(source: str, lengths: list[int]) -> None:
    assert line_ends(source, lengths) == line_ends(source, [])


def test_a_string_that_is_not_closed_ends_with_its_line() -> None:
    assert line_ends("x = 'oops\ny = 1\n", []) == [10, 16]


def test_reading_stops_behind_the_bracket_that_closes_the_outermost() -> None:
    scanner = SourceScanner(depth=2, quote="'")
    text = "a)' ')' ] ) tail"
    assert scanner.feed(text) == text.index(" tail")
    assert scanner.depth == 0
    assert not scanner.line_ended
