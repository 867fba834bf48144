"""Which calls only read, guessed by name; of a shell's command by its programs. For reports alone.

Nothing runs ahead because of this: what may, tools' authors and operators declare.
"""

import re
import shlex
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec
import yaml

from paste_proxy.lab.virtual.replay import Replay, load_replays

COMMAND_LIMIT = 4_096
"""Characters: longer commands hold the files that they write."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_HARMLESS = re.compile(r"\d?>&\d|[\d&]?>{1,2}\s*/dev/null")
_UNREAD = re.compile(r"`|\$\(|<<")
"""Commands inside of commands, and files written in place: not looked into."""
_PUNCTUATION = frozenset("();<>|&")


class Shell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """reading.yaml."""

    shells: frozenset[str]
    commands: tuple[str, ...]
    programs: frozenset[str]
    git: frozenset[str]
    writing_options: frozenset[str]


@lru_cache(maxsize=1)
def load_reading() -> "Reading":
    text = resources.files("paste_proxy.lab").joinpath("reading.yaml").read_text(encoding="utf-8")
    return Reading(load_replays().of["file"], msgspec.convert(yaml.safe_load(text), Shell))


class Reading:
    def __init__(self, named: Replay, shell: Shell) -> None:
        self._named = named
        self._shell = shell

    def only_reads(self, tool: str, arguments: dict[str, Any]) -> bool:
        """A server's name may stand before the tool's: mcp__docs__search."""
        command = self._command(tool, arguments)
        if command is not None:
            return self._command_reads(command)
        return self._named.only_reads(tool) or self._named.only_reads(tool.rsplit("__", 1)[-1])

    def _command(self, tool: str, arguments: dict[str, Any]) -> str | None:
        if self._shell.shells.isdisjoint(word.lower() for word in _WORD.findall(tool)):
            return None
        given = (arguments.get(name) for name in self._shell.commands)
        return next((command for command in given if isinstance(command, str)), None)

    def _command_reads(self, command: str) -> bool:
        if len(command) > COMMAND_LIMIT or _UNREAD.search(command):
            return False
        lexer = shlex.shlex(_HARMLESS.sub(" ", command).replace("\n", ";"), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        lexer.commenters = ""
        try:
            words = list(lexer)
        except ValueError:  # a quote that is not closed: no command
            return False
        parts: list[list[str]] = [[]]
        for word in words:
            if not set(word) <= _PUNCTUATION:
                parts[-1].append(word)
            elif ">" in word:
                return False
            else:
                parts.append([])
        return any(parts) and all(map(self._program_reads, filter(None, parts)))

    def _program_reads(self, words: list[str]) -> bool:
        program = words[0].rsplit("/", 1)[-1]
        if program == "git":
            return len(words) > 1 and words[1] in self._shell.git
        return program in self._shell.programs and self._shell.writing_options.isdisjoint(words)
