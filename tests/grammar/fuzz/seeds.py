"""What fuzzing starts from: texts, streams and requests that are right, cut in several ways."""

from collections.abc import Iterator

import orjson

from paste_proxy.grammar.formats import find, find_reasoning
from paste_proxy.grammar.formats.model import Marks
from tests.conformance.parsers.writers import WRITERS
from tests.grammar.dialects.support import RECORDINGS
from tests.grammar.formats.fixture import fixture

CUTS = (b"\x00", b"\x09\x00", b"\x12\x06\x02", b"\x19\xff")
"""The beginnings of inputs: no lengths at all, pieces of one byte, of seven and three, of 256."""
VALUES = (
    b'{"path": "a.txt", "lines": [1, -2.5e3, null, true], "options": {"deep": {"er": []}}}',
    b'{"text": "caf\\u00e9 \\ud83d\\ude00 \\" \\\\ \\n", "empty": "", "wide": "\xe6\x97\xa5\xe6\x9c\xac"}',
    b'[{"a": 1}, "b", false, 0]',
)
ARGUMENTS = (
    '{"query": "\\"q\\"\\n", "tags": ["a", 1, null, [true]], "exact": true, "score": -0.5, "after": null, '
    '"options": {"a": {"b": "c"}}, "more": {"d": 1}}'
)
"""A value of each type, and one of which no schema says anything."""
WORDS = (
    *(bytes([byte]) for byte in b"{}[]():,;=<>\\|/'\" \n\r0-."),
    *(
        b'"name"',
        b'"arguments"',
        b"null",
        b"None",
        b"now",
        b"read_file",
        b"path",
        b"\\u00e9",
        b"\xc3\xa9",
        b"\xed\xa0\x80",
    ),
)
STREAM = b'event: a\r\ndata: {"x": 1}\r\n\r\n: note\n\ndata: one\ndata: two\n\ndata: [DONE]\n\n'
_SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
_FUNCTION = {"name": "read_file", "description": "Reads.", "parameters": _SCHEMA}
REQUESTS: dict[str, dict[str, object]] = {
    "chat": {
        "messages": [
            {"role": "system", "content": "You read files."},
            {"role": "user", "content": [{"type": "text", "text": "Read a.txt."}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "read_file", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": "text"},
        ],
        "tools": [{"type": "function", "function": _FUNCTION}],
        "session_id": "s",
        "metadata": {"session_id": "s"},
        "n": 1,
    },
    "responses": {
        "instructions": "You read files.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Read a.txt."}]},
            {"type": "function_call", "call_id": "c", "name": "read_file", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "text"},
        ],
        "previous_response_id": "r",
        "tools": [{"type": "function", **_FUNCTION}],
    },
    "messages": {
        "system": [{"type": "text", "text": "You read files."}],
        "messages": [
            {"role": "user", "content": "Read a.txt."},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c", "name": "read_file", "input": {}}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "text"}]},
        ],
        "tools": [{"name": "read_file", "input_schema": _SCHEMA}],
        "metadata": {"user_id": "u"},
    },
    "completions": {"prompt": "Read a.txt.", "suffix": "", "n": 1},
    "generate": {"text": "Read a.txt.", "sampling_params": {"n": 1}, "rid": "r"},
}


def seeds(target: str) -> Iterator[bytes]:
    for read in _read(target):
        for cut in CUTS:
            yield cut + read


def words(target: str) -> list[bytes]:
    """What means something to the target, to be put anywhere."""
    kind, _, name = target.partition(":")
    marks: set[str] = set()
    how = find(name).reads if kind == "format" else None
    if isinstance(how, Marks):
        marks.update(*(state.on for state in how.states.values()))
    elif kind == "reasoning":
        known = find_reasoning(name)
        marks |= {known.opening, known.closing, *known.interrupted_by} - {""}
    return [*WORDS, *sorted(mark.encode() for mark in marks)]


def _read(target: str) -> Iterator[bytes]:
    kind, _, name = target.partition(":")
    match kind:
        case "dialect":
            for path in sorted(RECORDINGS.glob(f"{name}_*")):
                yield path.read_bytes()[:1400]
        case "request":
            yield orjson.dumps({"model": "m", "stream": True} | REQUESTS[name])
        case "format":
            yield from _texts(name)
        case "reasoning":
            yield from _reasoning_texts(name)
        case "json":
            yield from VALUES
        case "sse":
            yield STREAM


def _texts(name: str) -> Iterator[bytes]:
    known = fixture(name)
    for text in known.texts + known.ambiguous:
        yield text.plain.encode()
    for plain in known.no_calls:
        yield plain.encode()
    for writer in WRITERS:
        if find(writer.sglang or writer.vllm).name == name:
            yield writer.write([("search", ARGUMENTS)]).encode()


def _reasoning_texts(name: str) -> Iterator[bytes]:
    known = find_reasoning(name)
    if known.marks is not None:
        yield from _texts(name)
        return
    reasoning = f"I need a file.{known.closing}".encode()
    for text in _texts("hermes"):
        yield reasoning + text
        yield known.opening.encode() + reasoning + text
