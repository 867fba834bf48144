"""After how many characters of a call its name, its arguments and its end are known: here, to the client of
SGLang's parsed stream, and to that of vLLM's.

`python -m benchmarks.earliness [--json]`, half a minute: all three read the same texts, one token at a time
(a special string of the format is one, and any other character is one). Each text is one call that writes a
file, in one of the formats; characters count from where the call begins. Nothing is known where a parser gets
the call wrong or has no such format. The peers are those of `tests/conformance/parsers`, which holds that
nothing is known later here than there in all of its texts.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from tests.conformance.parsers.corpus import THE_FILE, Case, cases
from tests.conformance.parsers.differences import kind
from tests.conformance.parsers.installed import NotInstalledError, ask_all
from tests.conformance.parsers.milestones import Milestones, ours, theirs
from tests.conformance.parsers.outcomes import Answers, expected

MODE = "tokens:1"
PARTS = ("name", "first argument", "last argument", "end")
READERS = ("ours", "sglang", "vllm")

Figures = dict[str, dict[str, Any]]
"""By format: `characters` of the call, and for each part of it what each reader needs; None: never known."""


def measure() -> Figures:
    """Raises `NotInstalledError`."""
    texts = [case for case in cases() if case.name == THE_FILE]
    answers = ask_all(texts)
    return {case.writer.name: of_case(case, answers) for case in texts}


def of_case(case: Case, answers: dict[str, Answers]) -> dict[str, Any]:
    begin = beginning(case)
    known = dict(readers(case, answers))
    row: dict[str, Any] = {"characters": len(case.text) - begin}
    for part in PARTS:
        row[part] = {reader: known[reader][part] - begin if reader in known else None for reader in READERS}
    return row


def readers(case: Case, answers: dict[str, Answers]) -> Iterator[tuple[str, dict[str, int]]]:
    """What each reader knows of the call, when."""
    peer = "sglang" if case.writer.sglang else "vllm"
    yield "ours", parts(*ours(case, peer, MODE))
    for peer, told in answers.items():
        one = told.get((case.key, MODE))
        if one is not None and kind(expected(case), one.outcome(case)) is None:
            yield peer, parts(*theirs(case, one))


def parts(call: Milestones) -> dict[str, int]:
    first, *_, last = call.arguments.values()
    return dict(zip(PARTS, (call.name, first, last, call.seal), strict=True))


def beginning(case: Case) -> int:
    """Where the call begins: gpt-oss thinks before it, and some formats begin with empty lines."""
    if case.writer.name == "gpt-oss":
        return case.text.index("<|start|>")
    return len(case.text) - len(case.text.lstrip())


def table(figures: Figures) -> str:
    """As Markdown."""
    lines = [f"| format | {' | '.join(PARTS)} | of |", "|---|" + "---|" * (len(PARTS) + 1)]
    for name, row in figures.items():
        cells = (" / ".join("-" if at is None else str(at) for at in row[part].values()) for part in PARTS)
        lines.append(f"| {name} | {' | '.join(cells)} | {row['characters']} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    try:
        figures = measure()
    except NotInstalledError as error:
        sys.exit(str(error))
    print(json.dumps(figures) if options.json else table(figures))


if __name__ == "__main__":
    main()
