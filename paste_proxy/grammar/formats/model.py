"""What a format is: data. `machine.FormatReader` reads any of them; the tables are beside this module.

A format is a set of states. A state says what its text is (`What`) and at which terminals it ends; a terminal
is a literal string of the model's text, mostly one special token, and says what comes next (`To`). Adding a
format is adding one table and one fixture (docs/formats.md).
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import TypeAlias

import msgspec


class What(Enum):
    """What the text between two terminals is."""

    CONTENT = "content"
    REASONING = "reasoning"
    IGNORED = "ignored"
    """Nothing: white space between the parts of a call."""
    HEAD = "head"
    """A name, a key, or what else the next terminal's patterns find in it. Bounded, and kept until then."""
    ARGUMENTS = "arguments"
    """One JSON object, the call's arguments; it ends where it is complete, whatever stands in its strings."""
    VALUE = "value"
    """One argument, written as plain text, as JSON or as a literal: its schema says which."""
    CALLS = "calls"
    """Calls written as JSON objects or as Python: `State.calls` says which."""


class Calls(msgspec.Struct, frozen=True):
    """How calls stand in a text of their own (`What.CALLS`)."""

    python: bool = False
    """`[f(a=1), g()]`; else `{"name": ..., "arguments": ...}`, one or a list of them."""
    objects: bool = False
    """Objects may stand in the place of Python's calls."""
    any_name: bool = False
    """Of doubtful Python: what has the shape of a call is one, whether or not its tool is offered."""
    literals: bool = False
    """Objects may be written with Python's quotes too."""


class To(msgspec.Struct, frozen=True):
    """What a terminal does. Of several only the first applies whose `pattern` is found in the head."""

    state: str
    pattern: re.Pattern[str] | None = None
    """Searched in the head. Its groups: `name` opens a call, with the id `id` if there is one; `key` names
    the argument whose value comes; `text`, if it took part, says that the value is text whatever its schema
    says."""
    ends: bool = False
    """The call is over."""
    kept: bool = False
    """The terminal belongs to what comes next, which reads it again."""
    with_tools: bool = False
    """The terminal counts only where it is known what tools the request offers."""
    unless: str = ""
    """A pattern: where it stands behind the terminal, what comes next would refuse it, and it is none. Takes
    less time than to see that character by character."""


On: TypeAlias = dict[str, To | tuple[To, ...]]
"""What terminals do. Where one leads nowhere (`()`) it can't stand there: the call is broken."""


def astray(*terminals: str) -> On:
    """Terminals that can't stand in a call: it is broken, and `State.broken` reads them again."""
    return dict.fromkeys(terminals, ())


class State(msgspec.Struct, frozen=True):
    what: What
    on: On = {}
    """No terminal of a state may be the beginning of another."""
    then: str = ""
    """After complete arguments or calls."""
    broken: str = ""
    """Of text inside a call: where to look for the end of one that can't be read; the text up to it is lost."""
    otherwise: str = ""
    """Of ignored text: the state in which anything but white space is read. Of doubtful text: that in which
    text is read that is no call."""
    pad: str = ""
    """Of values: a string that may stand on either side and does not belong to them."""
    untyped_text: bool = False
    """Of values: one of whose type the schema of its tool says nothing is text."""
    calls: Calls | None = None
    doubtful: bool = False
    """The text may be no call: it is one where a tool that the request offers is named. Else it is content."""

    def terminals(self, *, with_tools: bool) -> tuple[str, ...]:
        """Those that count."""
        return tuple(
            terminal
            for terminal, to in self.on.items()
            if with_tools or not (isinstance(to, To) and to.with_tools)
        )

    @property
    def unless(self) -> dict[str, str]:
        """The patterns in front of which terminals are none."""
        return {terminal: to.unless for terminal, to in self.on.items() if isinstance(to, To) and to.unless}


class Marks(msgspec.Struct, frozen=True, eq=False):
    """A format that marks its calls, which `machine.FormatReader` reads. There is one of each."""

    states: Mapping[str, State]
    start: str = "content"


class Shell(msgspec.Struct, frozen=True):
    """A fenced block that is one command (`protocols_fenced.CommandBody`)."""

    tool: str = "bash"
    argument: str = "command"
    languages: tuple[str, ...] = ("bash", "sh", "shell")


class Code(msgspec.Struct, frozen=True):
    """Python code between two tags, whose calls are the calls (`protocols_fenced.CodeBody`)."""

    tags: tuple[str, str] = ("<code>", "</code>")
    languages: tuple[str, ...] = ()
    ends_open: bool = True


class React(msgspec.Struct, frozen=True):
    """`Action:` lines (`protocols_react.ReactReader`)."""

    argument: str = "input"
    bracketed: bool = False


Protocol: TypeAlias = Shell | Code | React
"""What agents read in plain content themselves: there is nothing to take out of the text."""


class Format(msgspec.Struct, frozen=True):
    """How a model writes its calls."""

    name: str
    reads: Marks | Protocol

    @property
    def in_text(self) -> bool:
        """Agents read it in the content themselves."""
        return not isinstance(self.reads, Marks)


class ReasoningFormat(msgspec.Struct, frozen=True):
    """How a model marks its reasoning: in the beginning of a reply, once."""

    name: str
    opening: str = ""
    closing: str = ""
    inside: bool = False
    """The reply begins inside, since the prompt ends with the opening mark; the model may repeat it."""
    interrupted_by: tuple[str, ...] = ()
    """Marks of calls: where one comes the reasoning is over, though its closing mark never came."""
    marks: Marks | None = None
    """The format of a model that marks calls and reasoning alike: it is read in place of any other."""
