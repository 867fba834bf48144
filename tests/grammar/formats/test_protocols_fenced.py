"""Blocks are found where the agents' regular expressions find them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.formats.protocols_fenced import BlockReader, CodeBody, CommandBody
from paste_proxy.grammar.formats.pythonic import Found
from tests.grammar.formats.found import CUTS, calls, merged, pieces

TOOLS = {"search": ("query",)}


def shell() -> BlockReader:
    return BlockReader(lambda found: CommandBody("bash", "command", found), languages={"bash", "sh"})


def tagged() -> BlockReader:
    return BlockReader(lambda found: CodeBody(TOOLS, found), tags=("<code>", "</code>"), ends_open=True)


def run(
    reader: BlockReader, text: str, lengths: list[int] | None = None, *, finished: bool = True
) -> list[Found]:
    for piece in pieces(text, lengths or []):
        reader.feed(piece)
    reader.end(finished=finished)
    return merged(reader.found)


PARTS = ("```", "`", "bash", "sh", "\n", " ", "ls", "```bash\nls", "\n```", "x")


@given(st.lists(st.sampled_from(PARTS), max_size=14).map("".join), CUTS)
def test_commands_are_those_that_the_agent_finds(text: str, lengths: list[int]) -> None:
    found = run(shell(), text, lengths)
    assert found == run(shell(), text)
    told = [arguments["command"] for _, arguments in calls(found)]
    if "" not in told:  # Where a block is empty, the regular expression looks for a later end.
        asked = re.findall(r"```(?:bash|sh)\s*\n(.*?)\n```", text, re.DOTALL)
        assert told == [command.strip() for command in asked]


def test_a_command_comes_as_it_arrives() -> None:
    reader = shell()
    seen: list[list[Found]] = []
    for piece in ("So:\n```bash\n", "ls", " | wc\n", "``", "`\nThat is it."):
        reader.feed(piece)
        seen.append(merged(reader.found))
        reader.found.clear()
    assert seen == [
        [("open", "bash"), ("text", '{"command": "')],
        [("text", "ls")],
        [("text", " | wc")],
        [],
        [("text", '"}'), ("close", "")],
    ]


def test_other_languages_are_text() -> None:
    assert run(shell(), "```python\nls\n```\n```\nls\n```\n`bash`\n```bashful\n```" + "bash" * 99) == []


@pytest.mark.parametrize("finished", [True, False])
def test_a_command_without_an_end_is_not_run(finished: bool) -> None:
    found = run(shell(), "```bash\nls", finished=finished)
    assert found[-1] == ("broken", "the block was not closed")
    assert calls(found) == []


@given(CUTS)
def test_calls_of_code_between_tags(lengths: list[int]) -> None:
    text = (
        "Thought: <i>\n<code>\nx = search('a')\nprint(search(query='</b>'))</code> and <code>search('c')</code>"
    )
    assert calls(run(tagged(), text, lengths)) == [
        ("search", {"query": "a"}),
        ("search", {"query": "</b>"}),
        ("search", {"query": "c"}),
    ]


def test_names_that_a_block_makes_hold_for_the_next_one() -> None:
    assert calls(run(tagged(), "<code>import search</code><code>search('c')</code>")) == []


def test_each_block_that_may_do_what_is_not_told_is_broken() -> None:
    found = run(tagged(), "<code>x = 1</code><code>go()</code> <code>search('a')</code><code>go()</code>")
    assert [kind for kind, _ in found] == ["broken", "open", "text", "close", "broken"]


def test_code_that_is_cut_is_broken() -> None:
    assert run(tagged(), "<code>\nx = 1", finished=False) == [("broken", "the block was not closed")]
    assert run(tagged(), "<code>\nx = 1") == []


def test_a_turn_that_is_stopped_at_the_closing_tag_ends_its_block() -> None:
    text = "<code>\nsearch('a')\nsearch('b')"
    assert calls(run(tagged(), text)) == [("search", {"query": "a"}), ("search", {"query": "b"})]
    assert calls(run(tagged(), text, finished=False)) == [("search", {"query": "a"})]


def test_markdown_code() -> None:
    reader = BlockReader(lambda found: CodeBody(TOOLS, found), languages={"py", "python"})
    text = "```py\nsearch('a')\n```<end_code>\n```python\nsearch('b')\n```\n```text\nsearch('c')\n```"
    assert calls(run(reader, text)) == [("search", {"query": "a"}), ("search", {"query": "b"})]
