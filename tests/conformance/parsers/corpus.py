"""The texts that all parsers read: what has been reported to break tool-call parsers, written in every format.

Each case says which calls stand in its text, so that where parsers differ it is known who is right.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.conformance.parsers.aliases import aliases
from tests.conformance.parsers.literal import calls_of, literals
from tests.conformance.parsers.typed import TYPED_PARAMETERS, typed_texts
from tests.conformance.parsers.writers import WRITERS, Reasoning, Writer

TYPED = "typed"
DASHED = "mcp__files.read-now"
_STRINGS: dict[str, Any] = {"path": {"type": "string"}, "content": {"type": "string"}}
PARAMETERS: dict[str, dict[str, Any]] = {
    "read_file": {"properties": {"path": {"type": "string"}, "limit": {"type": "integer"}}},
    "write_file": {"properties": _STRINGS},
    "search": {
        "properties": {
            "query": {"type": "string"},
            "options": {"type": "object"},
            "tags": {"type": "array"},
            "exact": {"type": "boolean"},
            "score": {"type": "number"},
            "after": {"type": ["string", "null"]},
        }
    },
    "now": {"properties": {}},
    DASHED: {"properties": {"path": {"type": "string"}}},
    TYPED: TYPED_PARAMETERS,
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": name,
            "parameters": {"type": "object"} | parameters,
        },
    }
    for name, parameters in PARAMETERS.items()
]


class Case(msgspec.Struct, frozen=True):
    """A text of one format, and what stands in it."""

    name: str
    writer: Writer
    text: str
    calls: tuple[tuple[str, str], ...]
    """What a reader has to find: names and JSON texts of arguments."""
    content: str | None = ""
    """The text beside the calls, up to white space; None where a cut leaves it open."""
    reasoning: str = ""
    """Text between reasoning tags; where it is not empty, parsers of reasoning run too."""

    @property
    def key(self) -> str:
        return f"{self.writer.name}/{self.name}"


class Say(msgspec.Struct, frozen=True):
    """A case before it is written in a format."""

    name: str
    calls: tuple[tuple[str, str], ...]
    before: str = ""
    spelled: bool = False
    """It is about how the JSON of the arguments is spelled: nothing for formats without."""
    odd_names: bool = False
    """It has names that are none in Python."""


EVERY_TYPE = (
    '{"text": "t", "maybe": "m", "either": 3, "id": "x7", "level": "low", "size": 2, "flag": false, '
    '"count": -7, "ratio": 2.5, "items": ["a", {"b": null}], "options": {"c": [true, 1]}}'
)
THE_FILE = "the_file"
"""The case of `benchmarks.earliness`."""
ONE = (("read_file", '{"path": "a.txt"}'),)
SAYS = (
    Say("one", ONE),
    Say("no_arguments", (("now", "{}"),)),
    Say("two", (*ONE, ("search", '{"query": "b"}'))),
    Say("three_alike", ONE * 3),
    Say("no_arguments_then_one", (("now", "{}"), *ONE)),
    Say("text_before", ONE, before="I will look."),
    Say("text_before_with_braces", ONE, before='Such as {"path": 1} or [1, 2].'),
    Say("text_before_with_less_than", ONE, before="if a < b and b <= c then"),
    Say("integer", (("read_file", '{"path": "a", "limit": 12}'),)),
    Say("types", (("search", '{"query": "q", "exact": true, "score": -0.5, "tags": ["a", 1, null]}'),)),
    Say("null", (("search", '{"query": "q", "after": null}'),)),
    Say("nested", (("search", '{"query": "q", "options": {"a": {"b": [1, {"c": "}"}]}}, "tags": []}'),)),
    Say("empty_string", (("write_file", '{"path": "", "content": ""}'),)),
    Say("quotes", (("write_file", r'{"path": "a", "content": "say \"hi\" and \"}\" or \\"}'),)),
    Say("single_quotes", (("write_file", '{"path": "a", "content": "it\'s \'so\', isn\'t it?"}'),)),
    Say("braces_in_string", (("write_file", '{"path": "a", "content": "}}]{[ } {"}'),)),
    Say("new_lines", (("write_file", '{"path": "a", "content": "def f():\\n\\treturn 1\\n"}'),)),
    Say(
        "json_in_string",
        (("write_file", r'{"path": "a", "content": "{\"name\": \"now\", \"arguments\": {}}"}'),),
    ),
    Say("wide_characters", (("write_file", '{"path": "é", "content": "日本 😀 «x»"}'),)),
    Say("html_in_string", (("write_file", '{"path": "a", "content": "<b>x</b> & <!-- y --> &lt;"}'),)),
    Say("tool_call_end_in_string", (("write_file", '{"path": "a", "content": "x</tool_call>y"}'),)),
    Say("think_in_string", (("write_file", '{"path": "a", "content": "<think>x</think>"}'),)),
    Say("undeclared", (("delete_all", '{"path": "a"}'),)),
    Say("undeclared_then_one", (("delete_all", '{"path": "a"}'), *ONE)),
    Say("escaped_e", (("write_file", r'{"path": "caf\u00e9", "content": "\u0041\/\b"}'),), spelled=True),
    Say("surrogate_pair", (("write_file", r'{"path": "a", "content": "\ud83d\ude00!"}'),), spelled=True),
    Say("number_1_0", (("search", '{"query": "q", "score": 1.0}'),), spelled=True),
    Say("number_1e3", (("search", '{"query": "q", "score": 1e3}'),), spelled=True),
    Say("big_integer", (("search", '{"query": "q", "score": 123456789012345678901234567890}'),), spelled=True),
    Say("odd_space", (("search", '{ "query" :"q" ,\n "tags":[ 1,2 ]}'),), spelled=True),
    Say("no_space", (("search", '{"query":"q","tags":[1,2]}'),), spelled=True),
    Say("number_in_string_argument", (("read_file", '{"path": "123"}'),)),
    Say("true_in_string_argument", (("read_file", '{"path": "true"}'),)),
    Say("null_in_string_argument", (("read_file", '{"path": "null"}'),)),
    Say("backslashes", (("write_file", r'{"path": "C:\\new\\table", "content": "\\u0041 \\\" \\\\"}'),)),
    Say("blanks_around", (("write_file", '{"path": " a ", "content": "  x\\n\\n"}'),)),
    Say("only_new_line", (("write_file", '{"path": "a", "content": "\\n"}'),)),
    Say("begins_with_new_lines", (("write_file", '{"path": "a", "content": "\\n\\n  x"}'),)),
    Say("indented", (("write_file", '{"path": "a", "content": "    if a:\\n        b()\\n    else: c()"}'),)),
    Say("markdown_fence", (("write_file", '{"path": "a", "content": "```json\\n{}\\n```\\n"}'),)),
    Say("equals_and_commas", (("write_file", '{"path": "a", "content": "f(x=1, y=\'2\'), g()"}'),)),
    Say("control_characters", (("write_file", r'{"path": "a", "content": "\u0000\u001f\u007f\u2028"}'),)),
    Say("every_type", ((TYPED, EVERY_TYPE),)),
    Say("nulls", ((TYPED, '{"maybe": null, "either": null, "text": "null"}'),)),
    Say("empty_containers", ((TYPED, '{"items": [], "options": {}}'),)),
    Say("list_of_lists", ((TYPED, '{"items": [[1, [2, []]], [], [{"a": []}]]}'),)),
    Say("false_and_zero", ((TYPED, '{"flag": false, "count": 0, "ratio": 0.0, "text": ""}'),)),
    Say("odd_keys", ((TYPED, '{"x-dash": "1", "dotted.key": "2", "$dollar": "3"}'),), odd_names=True),
    Say("undeclared_key", (("read_file", '{"path": "a", "other": "b"}'),)),
    Say("odd_tool_name", ((DASHED, '{"path": "a"}'),), odd_names=True),
    Say(THE_FILE, (("write_file", f'{{"path": "notes/today.txt", "content": "{"so it goes, " * 20}done"}}'),)),
    Say("long_string", (("write_file", '{"path": "a", "content": "' + "word " * 200 + '"}'),)),
)


HARMONY_THOUGHT = "I need a tool."
THOUGHT = "I need <tool> and {braces}: 1 < 2."


def cases() -> Iterator[Case]:
    """Every text, of every format."""
    for writer in WRITERS:
        for say in SAYS:
            if (writer.spelled or not say.spelled) and not (writer.python and say.odd_names):
                yield written(writer, say)
        yield from other_cases(writer)
        if writer.reasoning is not None and writer.reasoning.opening:
            yield from reasoning_cases(writer, writer.reasoning)
    for writer in aliases():
        yield from (written(writer, say) for say in SAYS[:3])
        if writer.reasoning is not None:
            yield from reasoning_cases(writer, writer.reasoning)
    for writer, name, one in literals():
        yield Case(name, writer, one.text, calls_of(one), one.content, one.reasoning)
    for writer, name, text, arguments in typed_texts():
        yield Case(name, writer, text, ((TYPED, arguments),))


def written(writer: Writer, say: Say) -> Case:
    """The calls in this format, with the text around them where the format allows any."""
    text = writer.write(say.calls)
    if writer.name == "gpt-oss":
        channel = f"<|channel|>commentary<|message|>{say.before}<|end|><|start|>assistant"
        return Case(
            say.name, writer, (channel if say.before else "") + text, say.calls, say.before, HARMONY_THOUGHT
        )
    text = say.before + ("\n" if say.before else "") + text
    return Case(say.name, writer, text, say.calls, say.before)


def other_cases(writer: Writer) -> Iterator[Case]:
    """What depends on how the format marks calls, and streams that end in the middle: what was whole before
    stays, and nothing else is a whole call."""
    if writer.tags is None:
        calls = (("write_file", json.dumps({"path": "a", "content": f"x{writer.closing}y"})),)
        yield written(writer, Say("own_end_in_string", calls))
    first = writer.write(ONE)
    both = writer.write((*ONE, ("write_file", '{"path": "b", "content": "unfinished business"}')))
    at = both.index("business")
    yield Case("cut_in_second", writer, both[:at], ONE, None)
    yield Case("cut_in_first", writer, first[: first.index(".txt")], (), None)


def reasoning_cases(writer: Writer, thinking: Reasoning) -> Iterator[Case]:
    opening = "" if thinking.inside else thinking.opening
    for say in (*SAYS[:3], Say("only", ())):
        rest = writer.write(say.calls) if say.calls else "Hello."
        text = f"{opening}\n{THOUGHT}\n{thinking.closing}\n\n{rest}"
        yield Case(f"think_{say.name}", writer, text, say.calls, "" if say.calls else rest, THOUGHT)
    if thinking.inside:
        text = f"{thinking.opening}\n{THOUGHT}\n{thinking.closing}\n\n{writer.write(ONE)}"
        yield Case("think_opened_again", writer, text, ONE, "", THOUGHT)
