"""Arguments that arrive piece by piece: read incrementally, and parsed anew with each piece; part of
`benchmarks.grammar`.

Re-parsing costs the square of the length, so beyond 1 KB it is estimated: parses of beginnings of evenly spread
lengths are timed, and their mean is what one piece costs.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from benchmarks.grammar_timing import Cell, Figure, Work, take_times
from paste_proxy.grammar.calls import CallAssembler
from paste_proxy.grammar.events import CallSealed, GrammarEvent

SIZES = {"1k": 1_000, "64k": 64_000, "1m": 1_000_000}
PIECES = (4, 16)
"""Characters of a piece: of a token; and of what comes at once where steps are merged."""
LENGTHS = {"1k": 0, "64k": 16, "1m": 4}
"""Beginnings that are parsed for an estimate; at 1 MB one parse takes a second."""
REPEATED = 64_000
"""Characters of one run of ours, at least: short objects are read again and again."""
ROUNDS = 5
BUDGET_S = 3.0

LINE = '    def read(self, name: str) -> "Value":\n        return self._values[name]  # what was put there\n'

PEERS = ("partial_json_parser", "jiter")

Parse: TypeAlias = Callable[[str], object]


def file_arguments(size: int) -> str:
    """Of a tool that writes a file: one long string of code."""
    text = LINE * (size // len(LINE) + 1)
    empty = json.dumps({"path": "src/values.py", "content": ""})
    cut = size - len(empty)
    while len(written := json.dumps({"path": "src/values.py", "content": text[:cut]})) > size:
        cut -= max(1, (len(written) - size) // 2)
    return written


def edit_arguments(size: int) -> str:
    """Of a tool that makes many small edits: five values each."""
    edits: list[dict[str, object]] = []
    length = 0
    while length < size - 200:
        number = len(edits)
        edit = {"path": f"src/part_{number}.py", "line": number, "old": "return self._values[name]"}
        edits.append(edit | {"new": "return self.values.get(name)", "all": number % 2 == 0})
        length += len(json.dumps(edits[-1])) + 2
    return json.dumps({"edits": edits, "why": "get is enough"})


SHAPES = {"a file": file_arguments, "edits": edit_arguments}


def cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def read_all(pieces: Sequence[str]) -> list[GrammarEvent]:
    """With all events, as for a chat stream; gives those of the last piece."""
    calls = CallAssembler()
    out: list[GrammarEvent] = []
    calls.delta(0, "call_1", "write", "", 0, out)
    for piece in pieces:
        out.clear()
        calls.delta(0, "", "", piece, 0, out)
    return out


def parsers() -> dict[str, Parse]:
    """Those that are compared, imported here because nothing else needs them."""
    import jiter
    import partial_json_parser  # type: ignore[import-untyped]

    return {
        "partial_json_parser": partial_json_parser.loads,
        "jiter": lambda text: jiter.from_json(text.encode(), partial_mode="trailing-strings"),
    }


def parse_beginnings(parse: Parse, beginnings: Sequence[str]) -> None:
    """What can't be parsed at some cut, such as half an escape, costs what finding that out costs."""
    for text in beginnings:
        try:
            parse(text)
        except ValueError:
            continue


def reading_cells() -> dict[str, Cell]:
    cells = {}
    for shape, write in SHAPES.items():
        for size, length in SIZES.items():
            for piece in PIECES:
                pieces = cut(write(length), piece)
                if not any(isinstance(event, CallSealed) for event in read_all(pieces)):
                    raise SystemExit(f"{shape} of {size} was not read")
                times = max(1, REPEATED // length)
                again = partial(_again, read_all, times)
                cells[f"{shape}, {size}, {piece}"] = Cell(len(pieces) * times, _work(again, pieces))
    return cells


def parsing_cells() -> dict[str, Cell]:
    """Each parse is a unit."""
    cells = {}
    for shape, write in SHAPES.items():
        for size, length in SIZES.items():
            text = write(length)
            for name, parse in parsers().items():
                texts = beginnings(text, LENGTHS[size])
                cells[f"{shape}, {size}, {name}"] = Cell(
                    len(texts), _work(partial(parse_beginnings, parse), texts)
                )
    return cells


def beginnings(text: str, count: int) -> list[str]:
    """Of evenly spread lengths; all that pieces of four characters make where `count` is 0."""
    if not count:
        return [text[:end] for end in range(PIECES[0], len(text) + PIECES[0], PIECES[0])]
    return [text[: len(text) * (2 * number + 1) // (2 * count)] for number in range(count)]


def _again(do: Callable[[Sequence[str]], object], times: int, pieces: Sequence[str]) -> None:
    for _ in range(times):
        do(pieces)


def _work(do: Callable[[Sequence[str]], object], pieces: Sequence[str]) -> Callable[[], Work]:
    return lambda: partial(do, pieces)


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """How many times as much it costs to parse anew, with the shape and the pieces that favour it most; and
    all of them."""
    times = take_times(reading_cells() | parsing_cells(), rounds=rounds, budget_s=BUDGET_S)
    details = {
        shape: {
            size: {f"pieces of {piece}": _compared(times, shape, size, piece) for piece in PIECES}
            for size in SIZES
        }
        for shape in SHAPES
    }
    ratios = {name: {size: _least(details, size, name) for size in SIZES} for name in PEERS}
    return {
        "reparse_ratio": ratios["partial_json_parser"],
        "jiter_ratio": ratios["jiter"],
        "arguments": details,
    }


def _compared(times: dict[str, Figure], shape: str, size: str, piece: int) -> dict[str, Figure]:
    ours = times[f"{shape}, {size}, {piece}"]
    ratios = {f"{name}_ratio": times[f"{shape}, {size}, {name}"].over(ours) for name in PEERS}
    return {"us_per_piece": ours.scaled(1e6)} | ratios


def _least(details: dict[str, dict[str, dict[str, dict[str, Figure]]]], size: str, name: str) -> Figure:
    ratios = (pieces[f"{name}_ratio"] for shape in details.values() for pieces in shape[size].values())
    return min(ratios, key=lambda ratio: ratio.median)
