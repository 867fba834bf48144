"""Long texts take linear time, in one piece and character by character: quadratic time would be hours here.

What a format costs per byte is measured by `benchmarks.grammar`.
"""

import time

import pytest

from paste_proxy.grammar.calls import CALL_LIMIT
from tests.grammar.formats.fixture import fixture, read

MANY = 100_000
OPEN = '<tool_call>{"name": "read_file", "arguments": {"path": '
GLM = "<tool_call>read_file\n<arg_key>{}</arg_key><arg_value>"
SCHEMA_KEYS = ("path", "limit", "any")
"""A string, a number, and one of which the schema says nothing."""

TEXTS: list[tuple[str, str, str]] = [
    ("text", "hermes", "ab " * MANY),
    ("blanks", "hermes", " " * MANY),
    ("blanks behind a call", "hermes", OPEN + '""}}' + "\n" * MANY),
    ("less than", "hermes", "<" * MANY),
    ("almost a mark", "hermes", "<tool_call" * (MANY // 10)),
    ("marks", "hermes", "<tool_call>" * (MANY // 10)),
    ("lost", "hermes", "<tool_call>x" + "</tool_call" * (MANY // 10)),
    ("long string", "hermes", OPEN + '"' + "a" * MANY),
    ("escapes", "hermes", OPEN + '"' + "\\n" * MANY),
    ("encoded", "hermes", '<tool_call>{"name": "f", "arguments": "{\\"a\\": \\"' + "a" * MANY),
    ("numbers", "hermes", OPEN + "[" + "1, " * MANY),
    ("long name", "hermes", '<tool_call>{"name": "' + "a" * MANY),
    ("long key", "hermes", '<tool_call>{"' + "a" * MANY),
    ("beside", "hermes", '<tool_call>{"x": ["' + "a" * MANY),
    ("arguments first", "hermes", '<tool_call>{"arguments": {"a": "' + "a" * MANY),
    ("members", "hermes", "<tool_call>{" + '"a": 1, ' * (MANY // 8)),
    ("doubtful", "llama3", '{"id": "' + "a" * MANY),
    ("doubtful quotes", "llama3", "{'id': '" + "a" * MANY),
    ("quotes", "llama3", "<|python_tag|>{'name': 'f', 'parameters': {'a': '" + "a" * MANY),
    ("opening", "llama3", "<|python_tag|>" + "[ " * MANY),
    ("separators", "llama3", '{"name": "now", "parameters": {}}' + ";" * MANY),
    ("name", "mistral", "[TOOL_CALLS]" + "a" * MANY),
    ("brackets", "mistral", "[TOOL_CALLS" * (MANY // 10)),
    ("heads", "deepseek_v3", "<｜tool▁call▁begin｜>f" * (MANY // 20)),
    ("fences", "deepseek_v3", "<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n" + "``` " * MANY),
    *((f"value of {key}", "glm45", GLM.format(key) + "a" * MANY) for key in SCHEMA_KEYS),
    *((f"list as {key}", "glm45", GLM.format(key) + "[" + "1, " * MANY) for key in SCHEMA_KEYS),
    *((f"brackets as {key}", "glm45", GLM.format(key) + "[" * MANY) for key in SCHEMA_KEYS),
    ("line ends", "qwen3_coder", "<tool_call><function=f><parameter=path>" + "\n" * MANY),
    ("functions", "qwen3_coder", "<function=" * (MANY // 10)),
    ("blanks in keys", "minimax_m2", '<minimax:tool_call><invoke name="f"><parameter name=' + " x" * MANY),
    ("headers", "gpt-oss", "<|channel|>" * (MANY // 10)),
    ("bracket run", "pythonic", "[" * (MANY // 4)),
    ("almost calls", "pythonic", "[now " * (MANY // 5)),
    ("argument", "pythonic", "[read_file(path='" + "a" * MANY),
    ("tuple", "pythonic", "[read_file(path=(" + "'a' " * MANY),
    ("tuples", "pythonic", "[read_file(path=(" + "(1), " * (MANY // 5)),
    ("skipped", "pythonic", "[read_file(x(" + "'a', " * MANY),
    ("either", "lfm2", "<|tool_call_start|>" + "[ " * MANY),
]


@pytest.mark.parametrize(
    ("name", "text"), [pytest.param(*case[1:], id=f"{case[1]} {case[0]}") for case in TEXTS]
)
def test_time_is_linear(name: str, text: str) -> None:
    begun = time.process_time()
    read(name, [text])
    read(name, list(text))
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    "name", ["hermes", "deepseek_v31", "kimi_k2", "glm45", "qwen3_coder", "minimax_m2", "lfm2"]
)
def test_many_calls_take_linear_time(name: str) -> None:
    text = fixture(name).texts[0].plain * CALL_LIMIT
    begun = time.process_time()
    read(name, [text])
    read(name, list(text))
    assert time.process_time() - begun < 20
