"""Where a model leaves its format, where the reply ends, and where it becomes too much."""

from collections.abc import Iterable

import pytest

from paste_proxy.grammar import calls
from paste_proxy.grammar.calls import CALL_LIMIT
from paste_proxy.grammar.events import ArgumentText, CallSealed, ContentText, GrammarEvent, Malformed
from paste_proxy.grammar.formats import find, machine, names, values
from paste_proxy.grammar.formats.machine import HEAD_LIMIT
from paste_proxy.grammar.formats.telling import BLANK_LIMIT
from tests.grammar.formats.fixture import TOOLS, fixture, read
from tests.grammar.formats.test_any_split import splits
from tests.grammar.fuzz.same import whole

SECTION, SECTION_END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
CALL, CALL_END, SEP = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"
MARKED = [name for name in names() if not find(name).in_text]


def content(events: Iterable[GrammarEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ContentText))


def sealed(events: Iterable[GrammarEvent]) -> list[tuple[str, str]]:
    return [(event.name, event.canonical) for event in events if isinstance(event, CallSealed)]


def faults(events: Iterable[GrammarEvent]) -> list[str]:
    return [event.why for event in events if isinstance(event, Malformed)]


def read_any(name: str, text: str, count: int = 20) -> list[GrammarEvent]:
    """The events of a text, which are the same however it is cut."""
    events = read(name, [text])
    for pieces in splits(text, count):
        assert whole(read(name, pieces)) == whole(events)
    return events


READ = ("read_file", '{"path":"a"}')


@pytest.mark.parametrize(
    ("name", "text", "found", "why"),
    [
        (
            "deepseek_v31",
            f'{SECTION}{CALL}now{CALL}read_file{SEP}{{"path": "a"}}{CALL_END}{SECTION_END}',
            [READ],
            [f"{CALL!r} behind 'now'"],
        ),
        ("deepseek_v31", f"{SECTION}{CALL}now{CALL_END}{SECTION_END}", [("now", "{}")], []),
        ("deepseek_v3", f"{SECTION}{CALL}function{SEP}now{CALL_END}{SECTION_END}", [("now", "{}")], []),
        (
            "deepseek_v3",
            f'{CALL}function{SECTION_END}{CALL}function{SEP}read_file\n```json\n{{"path": "a"}}\n```{CALL_END}',
            [READ],
            [f"{SECTION_END!r} behind 'function'"],
        ),
        (
            "kimi_k2",
            "<|tool_call_begin|>now<|tool_call_begin|>read_file:0<|tool_call_argument_begin|>"
            '{"path": "a"}<|tool_call_end|>',
            [READ],
            ["'<|tool_call_begin|>' behind 'now'"],
        ),
        (
            "mistral",
            '[TOOL_CALLS]now[TOOL_CALLS]read_file[ARGS]{"path": "a"}',
            [READ],
            ["'[TOOL_CALLS]' behind 'now'"],
        ),
        (
            "mistral",
            '[TOOL_CALLS]now[ARGS][TOOL_CALLS]read_file{"path": "a"}',
            [("now", "{}"), READ],
            [],
        ),
        (
            "glm45",
            "<tool_call>now\n<arg_key>path</arg_key>\n</tool_call>\n"
            "<tool_call>read_file\n<arg_key>path</arg_key>\n<arg_value>a</arg_value>\n</tool_call>",
            [READ],
            ["tool call 0: '</tool_call>' behind 'path'"],
        ),
        (
            "qwen3_coder",
            "Not <function=now\n<tool_call>\n<function=read_file>\n<parameter=path>a</parameter>\n</tool_call>",
            [READ],
            [],
        ),
        (
            "qwen3_coder",
            "<tool_call><function=now<tool_call><function=read_file><parameter=path>a</parameter></function>",
            [READ],
            ["'<' behind 'now'"],
        ),
        (
            "minimax_m2",
            '<minimax:tool_call><invoke name="now"><invoke name="read_file">'
            '<parameter name="path">a</parameter></invoke></minimax:tool_call>',
            [READ],
            ["tool call 0: '<invoke name=' behind '\"now\"'"],
        ),
        (
            "hermes",
            '<tool_call>{"name": "read_file", "arguments": {"path": "a"}, "x"}</tool_call>',
            [READ],
            ["no colon behind a key"],
        ),
        ("gpt-oss", "<|channel|>final<|end|><|channel|>final<|message|>x", [], []),
    ],
)
def test_a_broken_call_does_not_hide_the_next(
    name: str, text: str, found: list[tuple[str, str]], why: list[str]
) -> None:
    events = read_any(name, text)
    assert sealed(events) == found
    assert faults(events) == why


@pytest.mark.parametrize("name", MARKED)
def test_a_reply_may_end_anywhere(name: str) -> None:
    """Calls that were whole stay, and every other one that was begun is broken: nothing is told of marks."""
    text = fixture(name).texts[0]
    for at in range(len(text.plain) + 1):
        events = read(name, [text.plain[:at]])
        assert len(faults(events)) <= 1
        assert len(sealed(events)) == sum(label == "!" and len(by) <= at for label, by in text.known)
        if len(sealed(events)) < len(text.calls) and faults(events) == []:
            assert content(events) + SECTION_END != text.content
        assert whole(read(name, list(text.plain[:at]))) == whole(events)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("hermes", "a <tool_call>no call<", "a "),
        ("hermes", "a <tool_call>no call</tool_call> b", "a  b"),
        ("hermes", "a <", "a <"),
        ("hermes", " \n", " \n"),
        ("hermes", " \n<", " \n<"),
        ("hermes", " \n<tool_call>", ""),
        ("hermes", "", ""),
        ("mistral", "a[TOOL_CALLS] +", "a"),
        ("mistral", "[TOOL_CALLS] ", ""),
        ("llama3", '{"name": ', '{"name": '),
        ("llama3", ' {"name": "no_tool"}, as', ' {"name": "no_tool"}, as'),
        ("pythonic", " [read_file", " [read_file"),
        ("qwen3_coder", " <function=read", " <function=read"),
        ("qwen3_coder", " <function=read_file", " <function=read_file"),
    ],
)
def test_what_is_left_at_the_end(name: str, text: str, told: str) -> None:
    assert content(read_any(name, text)) == told


def test_a_call_is_missed_though_the_one_before_was_whole() -> None:
    one = f'{CALL}read_file{SEP}{{"path": "a"}}{CALL_END}'
    events = read_any("deepseek_v31", f"{SECTION}{one}{CALL}no")
    assert (sealed(events), faults(events)) == ([READ], ["the reply ended inside of a call"])
    broken = f"{CALL}read_file{SEP}{{,"
    assert len(faults(read_any("deepseek_v31", f"{SECTION}{broken}{CALL_END}{CALL}no"))) == 2


@pytest.mark.parametrize("more", [0, 1])
def test_white_space_beside_a_call(more: int) -> None:
    blanks = " " * (BLANK_LIMIT + more)
    call = '<tool_call>{"name": "now", "arguments": {}}</tool_call>'
    events = read("hermes", [f"{blanks}{call}{blanks}{call}"])
    assert content(events) == 2 * blanks * more
    for at in range(1, 2 * BLANK_LIMIT, 97):
        text = f"{blanks}{call}{blanks}{call}"
        assert whole(read("hermes", [text[:at], text[at:]])) == whole(events)
    assert whole(read("hermes", list(text))) == whole(events)


@pytest.mark.parametrize("more", [0, 1])
def test_names_have_an_end(more: int) -> None:
    text = (
        f"<tool_call><function=read_file{' ' * (HEAD_LIMIT + more - len('read_file'))}></function></tool_call>x"
    )
    events = read_any("qwen3_coder", text)
    assert faults(events) == [f"a name of more than {HEAD_LIMIT} characters"] * more
    assert content(events) == "x"
    unmarked = text.removeprefix("<tool_call>").replace(" ", "_")
    assert content(read_any("qwen3_coder", unmarked)) == unmarked


@pytest.mark.parametrize(("limit", "found"), [(1, []), (20, []), (43, []), (44, [("now", "{}")])])
def test_doubt_has_an_end(monkeypatch: pytest.MonkeyPatch, limit: int, found: list[tuple[str, str]]) -> None:
    monkeypatch.setattr(machine, "DOUBT_LIMIT", limit)
    text = '{"parameters": {            }, "name": "now"} and <|python_tag|>'
    events = read_any("llama3", text)
    assert sealed(events) == found
    assert content(events) == (" and " if found else text.removesuffix("<|python_tag|>"))


def test_values_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "SIZE_LIMIT", 8)
    text = "<tool_call>read_file\n<arg_key>limit</arg_key><arg_value>{}</arg_value></tool_call>x"
    assert sealed(read_any("glm45", text.format("12345678"))) == [("read_file", '{"limit":12345678}')]
    events = read_any("glm45", text.format("123456789"))
    assert (sealed(events), content(events)) == ([], "x")
    assert faults(events) == ["tool call 0: a value of more than 8 characters"]


@pytest.mark.parametrize("name", ["hermes", "deepseek_v31", "glm45", "lfm2"])
def test_arguments_have_an_end(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Calls are cut off where it is too much; the content is not."""
    text = fixture(name).texts[0].plain + "x"
    size = sum(len(event.text) for event in read(name, [text]) if isinstance(event, ArgumentText))
    for limit in range(1, size):
        monkeypatch.setattr(calls, "SIZE_LIMIT", limit)
        events = read_any(name, text, count=3)
        assert content(events).endswith("x")
        assert faults(events)


@pytest.mark.parametrize(
    ("name", "call", "end"),
    [
        ("hermes", '<tool_call>{"name": "now", "arguments": {}}</tool_call>', ""),
        ("deepseek_v31", f"{CALL}now{SEP}{{}}{CALL_END}", SECTION_END),
        ("glm45", "<tool_call>now</tool_call>", ""),
    ],
)
def test_calls_have_an_end(name: str, call: str, end: str) -> None:
    text = call * (CALL_LIMIT + 2) + end + "x"
    events = read(name, [text])
    assert sealed(events) == [("now", "{}")] * CALL_LIMIT
    assert faults(events) == [f"more than {CALL_LIMIT} tool calls"]
    assert content(events) == "x"
    for size in (1, 7, 1000):
        cut = [text[at : at + size] for at in range(0, len(text), size)]
        assert whole(read(name, cut)) == whole(events)


def test_without_known_tools_what_has_the_shape_of_a_call_is_one() -> None:
    for name, text in (
        ("llama3", '{"name": "f", "parameters": {}}'),
        ("pythonic", "[f()]"),
        ("qwen3_coder", "<function=f></function>"),
    ):
        assert sealed(read(name, [text], ())) == [("f", "{}")]
    assert content(read("llama3", ['{"name": "f"}'], ())) == '{"name": "f"}'
    assert [tool.name for tool in TOOLS] == ["read_file", "search", "now"]
