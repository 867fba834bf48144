"""docs/formats.md: its tables name every format, its limits are those of the code, and its examples run."""

import contextlib
import importlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from paste_proxy.grammar import formats
from paste_proxy.grammar.formats import find, find_reasoning, reasoning
from tests.grammar.formats.fixture import check_all, check_known, parsed
from tests.grammar.formats.test_any_split import splits
from tests.grammar.formats.test_tables import check_table

GUIDE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
PROGRAMS = [text for language, text in BLOCKS if language == "python"]
OUTPUTS = [text for language, text in BLOCKS if language == "text"]


def table(heading: str) -> list[list[str]]:
    """The rows of the table below a heading, less its first two lines."""
    section = GUIDE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines[2:]]
    return [[cell.strip().replace("\\|", "|") for cell in row] for row in cells]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def aliases(known: Mapping[str, str]) -> dict[str, list[str]]:
    return {name: sorted(others.split()) for name, others in known.items()}


def test_every_format_of_calls_is_listed_by_all_its_names() -> None:
    rows = {named(row[0])[0]: sorted(named(row[1])) for row in table("Formats of calls")}
    assert list(rows) == formats.names()
    assert {name: others for name, others in rows.items() if others} == aliases(formats._ALIASES)
    assert all(find(other).name == name for name, others in rows.items() for other in others)


def test_every_format_of_reasoning_is_listed_by_all_its_names() -> None:
    rows = {named(row[0])[0]: row for row in table("Formats of reasoning")}
    assert sorted(rows) == formats.reasoning_names()
    written = {name: sorted(named(row[1])) for name, row in rows.items()}
    assert {name: others for name, others in written.items() if others} == aliases(reasoning._ALIASES)
    for name, (_, _, marks, inside) in rows.items():
        known = find_reasoning(name)
        assert (inside == "yes") == known.inside
        if known.marks is None and marks != "the same":
            assert named(marks) == [known.opening, known.closing, *known.interrupted_by]


def test_limits_are_those_of_the_code() -> None:
    rows = table("Limits")
    assert len(rows) > 10
    for row in rows:
        match = re.fullmatch(r"`([\w.]+)\.(\w+)` = (\d+)", row[0])
        assert match is not None
        module = importlib.import_module(f"paste_proxy.grammar.{match[1]}")
        assert getattr(module, match[2]) == int(match[3])


@pytest.mark.parametrize(("program", "output"), list(zip(PROGRAMS, OUTPUTS, strict=False)))
def test_examples_print_what_is_shown(program: str, output: str) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "docs/formats.md", "exec"), {})
    assert printed.getvalue() == output


def test_the_format_that_is_added_reads_its_fixture() -> None:
    names: dict[str, Any] = {}
    exec(compile(PROGRAMS[len(OUTPUTS)], "docs/formats.md", "exec"), names)
    how = names["EXAMPLE"]
    (fixture,) = [parsed(text) for language, text in BLOCKS if language == "yaml"]
    check_table(how.reads)
    check_all(how, fixture)
    check_known(how, fixture)
    assert list(splits(fixture.texts[0].plain))
