"""What a character costs does not depend on what came before it, in any state, however long it lasts.

What a format costs per byte is measured by `benchmarks.grammar`.
"""

import gc
import time
from collections.abc import Iterator

import pytest

from paste_proxy.grammar.events import GrammarEvent
from paste_proxy.grammar.formats import TextReader, find
from tests.grammar.formats.fixture import TOOLS, fixture

MANY = 400_000
"""Characters that came before: copied at each later one, they would take ten times as long as all else."""
FEW = 1000
SLOWER = 5
"""How many times as long may be noise, or a list that grows."""
TRIES = 5
"""One that is fast enough will do: other processes only make it slower."""
ATTEMPTS = 6
"""What else the machine does disturbs a measurement, not six in a row; what copies is always too slow."""

OPEN = '<tool_call>{"name": "read_file", "arguments": {"path": '
GLM = "<tool_call>read_file\n<arg_key>{}</arg_key><arg_value>"
SCHEMA_KEYS = ("path", "limit", "any")
"""A string, a number, and one of which the schema says nothing."""

TEXTS: list[tuple[str, str, str, str]] = [
    ("text", "hermes", "", "ab "),
    ("blanks", "hermes", "", " "),
    ("blanks behind a call", "hermes", OPEN + '""}}', "\n"),
    ("less than", "hermes", "", "<"),
    ("almost a mark", "hermes", "", "<tool_call"),
    ("marks", "hermes", "", "<tool_call>"),
    ("lost", "hermes", "<tool_call>x", "</tool_call"),
    ("long string", "hermes", OPEN + '"', "a"),
    ("escapes", "hermes", OPEN + '"', "\\n"),
    ("encoded", "hermes", '<tool_call>{"name": "f", "arguments": "{\\"a\\": \\"', "a"),
    ("numbers", "hermes", OPEN + "[", "1, "),
    ("long name", "hermes", '<tool_call>{"name": "', "a"),
    ("long key", "hermes", '<tool_call>{"', "a"),
    ("beside", "hermes", '<tool_call>{"x": ["', "a"),
    ("arguments first", "hermes", '<tool_call>{"arguments": {"a": "', "a"),
    ("members", "hermes", "<tool_call>{", '"a": 1, '),
    ("doubtful", "llama3", '{"id": "', "a"),
    ("doubtful quotes", "llama3", "{'id': '", "a"),
    ("quotes", "llama3", "<|python_tag|>{'name': 'f', 'parameters': {'a': '", "a"),
    ("opening", "llama3", "<|python_tag|>", "[ "),
    ("separators", "llama3", '{"name": "now", "parameters": {}}', ";"),
    ("name", "mistral", "[TOOL_CALLS]", "a"),
    ("brackets", "mistral", "", "[TOOL_CALLS"),
    ("heads", "deepseek_v3", "", "<｜tool▁call▁begin｜>f"),
    ("long heads", "deepseek_v31", "", "<｜tool▁call▁begin｜>" + 1100 * "f"),
    ("no objects", "deepseek_v31", "", "<｜tool▁call▁begin｜>f<｜tool▁sep｜>x"),
    ("fences", "deepseek_v3", "<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n", "``` "),
    *((f"value of {key}", "glm45", GLM.format(key), "a") for key in SCHEMA_KEYS),
    *((f"list as {key}", "glm45", GLM.format(key) + "[", "1, ") for key in SCHEMA_KEYS),
    *((f"brackets as {key}", "glm45", GLM.format(key), "[") for key in SCHEMA_KEYS),
    ("line ends", "qwen3_coder", "<tool_call><function=f><parameter=path>", "\n"),
    ("functions", "qwen3_coder", "", "<function="),
    ("blanks in keys", "minimax_m2", '<minimax:tool_call><invoke name="f"><parameter name=', " x"),
    ("headers", "gpt-oss", "", "<|channel|>"),
    ("bracket runs", "pythonic", "", "[[[[ are no calls, "),
    ("almost calls", "pythonic", "", "[now "),
    ("argument", "pythonic", "[read_file(path='", "a"),
    ("tuple", "pythonic", "[read_file(path=(", "'a' "),
    ("tuples", "pythonic", "[read_file(path=(", "(1), "),
    ("skipped", "pythonic", "[read_file(x(", "'a', "),
    ("either", "lfm2", "<|tool_call_start|>", "[ "),
    ("escapes", "pythonic", "[read_file(path='", "\\n"),
    ("triple quotes", "pythonic", "[read_file(path='''", "''a"),
    ("numbers", "pythonic", "[read_file(path=[", "1, "),
    ("empty calls", "pythonic", "[", "now(), "),
    ("blanks", "pythonic", "", " "),
    ("input", "react", "Action: f\nAction Input: ", '" x\n'),
    ("quotes", "react", "Action: f\nAction Input: x", '"'),
    ("object", "react", "Action: f\nAction Input: {", '"a": ['),
    ("prose", "react", "", "a:\n"),
    ("closers", "react-brackets", "Action: f[", "]"),
    ("command", "shell", "```bash\n", "a \n"),
    ("blanks", "shell", "```bash\nx", " "),
    ("ticks", "shell", "", "`"),
    ("line", "python", "<code>\nf(", "a, "),
    ("lines", "python", "<code>\n", "x = 1\n"),
    ("brackets", "python", "<code>\n", "("),
    ("less than", "python", "<code>\n", "<"),
    *(
        ("calls", name, "", fixture(name).texts[0].plain)
        for name in ("hermes", "deepseek_v31", "kimi_k2", "glm45", "qwen3_coder", "minimax_m2", "lfm2", "shell")
    ),
]
CASES = [pytest.param(*case[1:], id=f"{case[1]} {case[0]}") for case in TEXTS]


def seconds(reader: TextReader, pieces: str | list[str]) -> float:
    begun = time.process_time()
    for piece in pieces:
        out: list[GrammarEvent] = []
        reader.feed(piece, 0, out)
    return time.process_time() - begun


def fed(name: str, text: str) -> TextReader:
    reader = TextReader(find(name), tools=TOOLS)
    reader.feed(text, 0, [])
    return reader


@pytest.fixture(autouse=True)
def _no_garbage_is_collected() -> Iterator[None]:
    """The heap of all tests before would count."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(("name", "opening", "unit"), CASES)
def test_characters_behind_a_long_text(name: str, opening: str, unit: str) -> None:
    few, many = unit * (FEW // len(unit) + 1), unit * (MANY // len(unit))
    early, late = fed(name, opening), fed(name, opening + many)
    assert any(seconds(late, few) < SLOWER * seconds(early, few) for _ in range(TRIES))


@pytest.mark.parametrize(("name", "opening", "unit"), CASES)
def test_a_text_of_four_times_the_length(name: str, opening: str, unit: str) -> None:
    many = unit * (MANY // 16 // len(unit))
    assert any(
        seconds(fed(name, opening), [4 * many]) < 2 * SLOWER * seconds(fed(name, opening), [many])
        for _ in range(TRIES)
    )
