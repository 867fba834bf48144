"""Writes the list of differences into `docs/parsers.md`: `python -m tests.conformance.parsers.document`."""

import textwrap
from collections.abc import Iterable
from pathlib import Path

from tests.conformance.parsers.aliases import aliases
from tests.conformance.parsers.corpus import cases
from tests.conformance.parsers.differences import Cell, Difference, differences
from tests.conformance.parsers.outcomes import every_job
from tests.conformance.parsers.writers import WRITERS

DOCUMENT = Path(__file__).parents[3] / "docs" / "parsers.md"
WIDTH = 150
BEGIN = "<!-- From tests/conformance/parsers/differences.yaml: see document.py. -->\n"
END = "<!-- Until here. -->\n"
TITLES = {
    ("sglang", "ours"): "SGLang 0.5.23 is wrong",
    ("sglang", "either"): "SGLang 0.5.23 decides otherwise",
    ("vllm", "ours"): "vLLM 0.33 is wrong",
    ("vllm", "either"): "vLLM 0.33 decides otherwise",
}


def listing() -> str:
    """The differences by peer and verdict."""
    texts, parts = list(cases()), []
    for (peer, right), title in TITLES.items():
        asked = [(case.key, mode) for case, mode in every_job(peer, texts)]
        found = [one for one in differences() if (one.peer, one.right) == (peer, right)]
        lines = [_line(one, asked) for one in found]
        count = sum(len(one.cells(asked)) for one in found)
        parts.append(f"### {title}\n\n{count} of {len(asked)} readings.\n\n" + "".join(lines))
    return "\n".join(parts)


def _line(one: Difference, asked: Iterable[Cell]) -> str:
    cells = one.cells(asked)
    named = {key.split("/")[0] for key, _ in cells}
    formats = ", ".join(f"`{writer.name}`" for writer in (*WRITERS, *aliases()) if writer.name in named)
    issue = f" Reported: {one.issue}." if one.issue else ""
    line = f"- {formats}: {one.why}{issue} ({len(cells)})"
    wrapped = textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapped) + "\n"


def documented(document: str) -> str:
    """`document` with the list as it is now."""
    before, _, rest = document.partition(BEGIN)
    _, _, behind = rest.partition(END)
    return f"{before}{BEGIN}{listing()}{END}{behind}"


if __name__ == "__main__":
    DOCUMENT.write_text(documented(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
