"""SGLang's detectors on the texts that we read; part of `benchmarks.grammar`.

Both sides get a call in pieces of four characters: of 4 KB in every format; and of 1 KB, 64 KB and 1 MB in
`qwen25`, whose detector parses all of the call anew with each piece. There only the first is read as a whole:
of the larger ones some pieces are timed at evenly spread places, and their mean is what a piece costs.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from statistics import fmean
from typing import Any

import msgspec

from benchmarks import grammar_sglang
from benchmarks.grammar_arguments import LENGTHS, SIZES, cut
from benchmarks.grammar_texts import TOOL, code, read_text, written
from benchmarks.grammar_timing import Cell, Figure, figure, take_times
from paste_proxy.lab.sglang_server import SglangInstall
from tests.conformance.parsers.writers import WRITERS

SIZE = 4_000
PIECE = 4
REPEAT = 5
SAMPLED = 2
"""Pieces timed at one place."""
OPENING = 100
"""Characters until the detector has told the name: from there on it parses the arguments."""
GROWING = "qwen25"


class Job(msgspec.Struct, frozen=True):
    """For `grammar_sglang`."""

    parser: str
    pieces: list[str]
    before: list[str] = []
    repeat: int = REPEAT


def detector_times(install: SglangInstall, jobs: Sequence[Job]) -> list[Figure]:
    """Seconds per piece."""
    parameters = {"type": "function", "function": {"name": TOOL.name, "parameters": TOOL.parameters}}
    asked = msgspec.json.encode({"tools": [parameters], "jobs": jobs})
    done = subprocess.run(
        [install.python, grammar_sglang.__file__], input=asked, stdout=subprocess.PIPE, check=True
    )
    times = json.loads(done.stdout)
    return [
        figure([seconds / len(job.pieces) for seconds in runs]) for job, runs in zip(jobs, times, strict=True)
    ]


def growing_jobs(text: str, places: int) -> list[Job]:
    """All of it, or some pieces at each of so many places."""
    if not places:
        return [Job(GROWING, cut(text, PIECE))]
    jobs = []
    for number in range(places):
        at = len(text) * (2 * number + 1) // (2 * places)
        pieces = cut(text[at : at + SAMPLED * PIECE], PIECE)
        jobs.append(Job(GROWING, pieces, [*cut(text[:OPENING], PIECE), text[OPENING:at]], repeat=1))
    return jobs


def measure(install: SglangInstall) -> dict[str, Any]:
    """Microseconds per piece of both, by format; and how many times as much the detector of `qwen25` costs."""
    known = {writer.name: writer.sglang for writer in WRITERS if writer.sglang}
    texts = {name: written()[name][1]("src/values.py", code(SIZE)) for name in known}
    growing = {size: written()[GROWING][1]("src/values.py", code(length)) for size, length in SIZES.items()}
    jobs = {f"at 4k, {name}": [Job(parser, cut(texts[name], PIECE))] for name, parser in known.items()}
    jobs |= {size: growing_jobs(text, LENGTHS[size]) for size, text in growing.items()}
    theirs = dict(zip(jobs, _means(install, jobs.values()), strict=True))
    cells = {f"at 4k, {name}": _cell(name, text) for name, text in texts.items()}
    ours = take_times(
        cells | {size: _cell(GROWING, text) for size, text in growing.items()}, rounds=REPEAT, budget_s=3
    )
    per_format = {
        name: {"ours": ours[f"at 4k, {name}"].scaled(1e6), "SGLang": theirs[f"at 4k, {name}"].scaled(1e6)}
        for name in texts
    }
    return {
        "sglang_ratio": {size: theirs[size].over(ours[size]) for size in SIZES},
        "us_per_piece_of_4k": per_format,
    }


def _means(install: SglangInstall, jobs: Iterable[Sequence[Job]]) -> Iterator[Figure]:
    """One figure for each list of jobs, all from one process: SGLang takes long to import."""
    lists = list(jobs)
    figures = iter(detector_times(install, [job for several in lists for job in several]))
    for several in lists:
        found = [next(figures) for _ in several]
        yield Figure(fmean(one.median for one in found), fmean(one.fastest for one in found))


def _cell(name: str, text: str) -> Cell:
    pieces = cut(text, PIECE)
    work = partial(read_text, written()[name][0], pieces)
    return Cell(len(pieces), lambda: work)
