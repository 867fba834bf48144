"""What reading costs per byte: framing, JSON, and raw text in every format; part of `benchmarks.grammar`.

Per format: `content` is 64 KB of prose without a call, in pieces of four characters; `call` is a call that
writes a file of 64 KB, in such pieces; the two others are such a call of 10 MB, in pieces of 4 KB and in one.
What is read must be one whole call, or nothing is timed.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias

import orjson

from benchmarks.grammar_arguments import LINE, SHAPES, cut
from benchmarks.grammar_chunks import CONTENT, chunk
from benchmarks.grammar_timing import Cell, Figure, Work, take_times
from paste_proxy.grammar import formats
from paste_proxy.grammar.events import CallSealed, GrammarEvent
from paste_proxy.grammar.formats import Format, TextReader
from paste_proxy.grammar.json_stream import JsonStream
from paste_proxy.grammar.requests import RequestTool
from paste_proxy.grammar.sse import SseDecoder
from tests.conformance.parsers.writers import WRITERS

SIZE = 60_000
"""Of a call: just below the longest line of Python code that is read."""
LARGE = 10_000_000
PIECE = 4
LARGE_PIECE = 4096
LAST = 32
"""Pieces that may hold what stands behind a call's last argument, if they have four characters."""
ROUNDS = 3
BUDGET_S = 0.5

TOOL = RequestTool(
    "write_file",
    {"type": "object", "properties": {"path": {"type": "string"}, "content": {"type": "string"}}},
)
PROSE = "The values are read where they are needed, and what was put there stays there until it is taken away. "

Write: TypeAlias = Callable[[str, str], str]
"""A call in some format, of a path and the text of a file."""


def _react(path: str, content: str) -> str:
    arguments = orjson.dumps({"path": path, "content": content}).decode()
    return f"Thought: I write it.\nAction: write_file\nAction Input: {arguments}\nObservation:"


def _shell(path: str, content: str) -> str:
    return f"I write it.\n\n```bash\ncat > {path} <<'EOF'\n{content}\nEOF\n```"


def _python(path: str, content: str) -> str:
    quoted = content.replace('"', "'")
    return f'I write it.\n<code>\nwrite_file("{path}", """{quoted}""")\n</code>'


def written() -> dict[str, tuple[Format, Write]]:
    """Every format, and how a call is written in it; two where models write it in two ways."""
    found: dict[str, tuple[Format, Write]] = {
        writer.name: (formats.find(writer.sglang or writer.vllm), partial(_marked, writer.write))
        for writer in WRITERS
    }
    protocols: dict[str, Write] = {"react": _react, "shell": _shell, "python": _python}
    return found | {name: (formats.find(name), write) for name, write in protocols.items()}


def _marked(write: Callable[[Sequence[tuple[str, str]]], str], path: str, content: str) -> str:
    return write([(TOOL.name, orjson.dumps({"path": path, "content": content}).decode())])


def read_text(how: Format, pieces: Iterable[str], calls: int = 1) -> None:
    """With all events, a list for each piece as in production. Raises unless they seal as many calls, each with
    one of the last pieces."""
    reader = TextReader(how, None, (TOOL,))
    last = deque[list[GrammarEvent]](maxlen=LAST)
    for piece in pieces:
        out: list[GrammarEvent] = []
        reader.feed(piece, 0, out)
        last.append(out)
    reader.end(0, out, finished=True)
    if sum(isinstance(event, CallSealed) for events in last for event in events) != calls:
        raise SystemExit("a text was not read as one call")


def format_cells() -> dict[str, Cell]:
    prose = cut(PROSE * (SIZE // len(PROSE)), PIECE)
    cells = {}
    for name, (how, write) in written().items():
        text = write("src/values.py", code(SIZE))
        cells[f"{name}/content"] = _cell(partial(read_text, how, calls=0), prose)
        cells[f"{name}/call"] = _cell(partial(read_text, how), cut(text, PIECE))
        if name != "python":  # its lines have a limit
            large = write("src/values.py", code(LARGE))
            cells[f"{name}/10 MB in 4 KB"] = _cell(partial(read_text, how), cut(large, LARGE_PIECE))
            cells[f"{name}/10 MB at once"] = _cell(partial(read_text, how), [large])
    return cells


def code(size: int) -> str:
    """Text of a file."""
    return (LINE * (size // len(LINE) + 1))[:size]


def read_json(pieces: Iterable[str]) -> None:
    stream = JsonStream()
    for piece in pieces:
        stream.feed(piece)
        stream.found.clear()


def read_events(pieces: Iterable[bytes]) -> None:
    decoder = SseDecoder()
    for piece in pieces:
        decoder.feed(piece)


def framing_cells() -> dict[str, Cell]:
    event = chunk(CONTENT)
    stream = event * 2000
    cells = {
        "sse/event by event": _cell(read_events, [event] * 2000),
        "sse/64 KB reads": _cell(read_events, _cut_bytes(stream, 64 * 1024)),
        "sse/cut anywhere": _cell(read_events, _cut_bytes(stream, 100)),
    }
    for shape, write in SHAPES.items():
        text = write(SIZE)
        for size in (PIECE, LARGE_PIECE, SIZE):
            cells[f"json_stream/{shape}, pieces of {size}"] = _cell(read_json, cut(text, size))
    return cells


def _cut_bytes(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def _cell(read: Callable[[Any], object], pieces: Sequence[str] | Sequence[bytes]) -> Cell:
    size = sum(len(piece) if isinstance(piece, bytes) else len(piece.encode()) for piece in pieces)
    work: Work = partial(read, pieces)
    return Cell(size, lambda: work)


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    times = take_times(framing_cells() | format_cells(), rounds=rounds, budget_s=BUDGET_S)
    grouped: dict[str, dict[str, Figure]] = {}
    for name, figure in times.items():
        group, _, what = name.partition("/")
        grouped.setdefault(group, {})[what] = figure.scaled(1e9)
    return {"ns_per_byte": grouped}
