"""Calls of real agents, written as the text protocols say them, with the words that went with them, are read.

The traces keep prose and calls apart, so how the calls stood in the text is ours; prose and arguments are real.
"""

import gzip
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from paste_proxy.grammar.formats.protocols_fenced import BlockReader, CodeBody, CommandBody
from paste_proxy.grammar.formats.protocols_react import ReactReader
from paste_proxy.grammar.formats.pythonic import CallList
from tests.grammar.formats.found import calls

TRACES = Path(__file__).resolve().parents[3] / "../shared/traces"
SOURCES = ("fireact-hotpotqa", "webdancer", "repairagent", "deer-flow", "claude-code", "tau-bench")


class Said(NamedTuple):
    """What a model said in one turn: prose, and calls."""

    prose: str
    calls: list[tuple[str, dict[str, Any]]]


def turns(source: str) -> Iterator[Said]:
    path = TRACES / f"{source}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no traces at {path}")
    with gzip.open(path, "rt") as lines:
        for line in lines:
            for turn in json.loads(line)["turns"]:
                made = [(call["name"], call["arguments"]) for call in turn.get("tool_calls") or ()]
                # A few names are sentences of a model that lost its way: they are no tools, nor Python.
                if made and all(re.fullmatch(r"[\w.-]+", name) for name, _ in made):
                    yield Said(turn["content"] or "", made)


def written(name: str, arguments: dict[str, Any]) -> str:
    """A call as Python."""
    return f"{identifier(name)}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def identifier(name: str) -> str:
    return name.replace("-", "_")


def read(reader: BlockReader | ReactReader, text: str) -> list[tuple[str, Any]]:
    reader.feed(text)
    reader.end(finished=True)
    return calls(reader.found)


def test_commands_of_a_coding_agent() -> None:
    for said in turns("mini-swe-agent-deepseek"):
        command = said.calls[0][1]["command"]
        text = f"{said.prose}\n\n```bash\n{command}\n```"
        reader = BlockReader(lambda found: CommandBody("bash", "command", found), languages={"bash"})
        assert read(reader, text) == [("bash", {"command": command.strip()})]


@pytest.mark.parametrize("source", SOURCES)
def test_actions_with_an_object(source: str) -> None:
    for said in turns(source):
        name, arguments = said.calls[0]
        text = f"Thought: {said.prose}\nAction: {name}\nAction Input: {json.dumps(arguments, indent=1)}\nObser"
        assert read(ReactReader({}), text) == [(name, arguments)]


def test_actions_with_text() -> None:
    for said in turns("fireact-hotpotqa"):
        name, arguments = said.calls[0]
        (key, value), *_ = arguments.items()
        tools = {name: [key]}
        text = f"Thought: {said.prose}\nAction: {name}\nAction Input: {value}\nObservation: it is"
        assert read(ReactReader(tools), text) == [(name, {key: value.strip().strip('"')})]
        if "\n" not in value:
            text = f"Thought: {said.prose}\nAction: {name}[{value}]\nObservation: it is"
            assert read(ReactReader(tools, bracketed=True), text) == [(name, arguments)]


@pytest.mark.parametrize("source", SOURCES)
def test_calls_written_in_python(source: str) -> None:
    for said in turns(source):
        made = [(identifier(name), arguments) for name, arguments in said.calls]
        if not all(key.isidentifier() for _, arguments in made for key in arguments):
            continue
        lines = [written(name, arguments) for name, arguments in made]
        reader = CallList()
        reader.feed(f"[{', '.join(lines)}]")
        assert calls(reader.found) == made
        if "</code>" not in "".join(lines):
            code = "".join(f"result = {line}\nprint(result)\n" for line in lines)
            body = partial(CodeBody, {name: [] for name, _ in made})
            blocks = BlockReader(body, tags=("<code>", "</code>"), ends_open=True)
            assert read(blocks, f"Thought: {said.prose}\n<code>\n{code}") == made
