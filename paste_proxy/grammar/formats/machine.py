"""Reads the raw text of one reply in any format that marks its calls: the machine behind the tables.

Text goes on as soon as it can't be the beginning of a mark; what marks, and what lies between the parts of a
call, is taken out. Where the model leaves its format, the call is malformed, the text up to the next mark is
lost, and reading goes on from there.
"""

import io
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol, TypeAlias

from paste_proxy.grammar.calls import CallAssembler
from paste_proxy.grammar.events import GrammarEvent
from paste_proxy.grammar.formats.either import EitherCalls, LiteralCalls
from paste_proxy.grammar.formats.lexer import Find, Terminals
from paste_proxy.grammar.formats.model import Calls, Marks, State, To, What
from paste_proxy.grammar.formats.objects import ObjectCalls
from paste_proxy.grammar.formats.protocols import FoundCalls
from paste_proxy.grammar.formats.python_string import json_string_body
from paste_proxy.grammar.formats.pythonic import CallList, Found
from paste_proxy.grammar.formats.telling import Telling
from paste_proxy.grammar.formats.values import ANY, TEXT, ParameterTypes, Types, ValueText
from paste_proxy.grammar.requests import RequestTool

HEAD_LIMIT = 1024
"""Characters of a name or key with what stands beside it: the longest names have about a hundred."""

DOUBT_LIMIT = 64 * 1024
"""Characters that wait until it is known whether they are a call: the name mostly comes first, and where
arguments come before it there may be a file in them."""

_DOUBT_STEP = 256
"""Characters of doubtful text that are read at once."""

_SHOWN = 64
"""Characters of a name that is none, in the words about it."""

_BLANK = re.compile(r"\s*+")


class CallsReader(Protocol):
    """Reads calls that stand in a text of their own: `CallList`, `ObjectCalls`."""

    @property
    def found(self) -> list[Found]: ...
    @property
    def decided(self) -> bool: ...
    @property
    def refused(self) -> bool: ...
    @property
    def complete(self) -> bool: ...
    @property
    def fault(self) -> str: ...
    def feed(self, text: str, at: int = 0) -> int: ...


class FormatReader:
    """Reads one reply piece by piece, in linear time. Never raises."""

    __slots__ = (
        "_calls",
        "_find",
        "_head",
        "_held",
        "_in_object",
        "_key",
        "_keys",
        "_names",
        "_plain_text",
        "_reader",
        "_state",
        "_states",
        "_step",
        "_telling",
        "_tool",
        "_types",
        "_undecided",
        "_value",
    )

    def __init__(self, marks: Marks, calls: CallAssembler, tools: Sequence[RequestTool] = ()) -> None:
        """`tools`: those that the request offers."""
        self._calls = FoundCalls(calls)
        self._names = frozenset(tool.name for tool in tools)
        self._states = _prepared(marks, bool(self._names))
        self._types = ParameterTypes(tools)
        self._telling = Telling()
        self._held = ""
        """The end of the text so far, which may be the beginning of a terminal."""
        self._undecided: io.StringIO | None = None
        """Text of which it is not known whether it is a call."""
        self._head = ""
        self._tool = ""
        """The name of the call that is open."""
        self._key = ""
        self._keys = 0
        """Of the call that is open, if each argument stands by itself."""
        self._plain_text = False
        """The next value is text, whatever its schema says."""
        self._value = ValueText(TEXT)
        self._reader: CallsReader | None = None
        self._in_object = False
        """Inside the arguments of the call that is open."""
        self._enter(marks.start)

    @property
    def settled(self) -> int:
        """As `Telling.settled`."""
        return self._telling.settled

    def feed(self, text: str, at: int, out: list[GrammarEvent]) -> None:
        """More of the text; `at` is for `Malformed`."""
        self._telling.begin(len(text), len(self._held), at, out)
        if self._held:
            text, self._held = self._held + text, ""
        place, end = 0, len(text)
        while place < end:
            place = self._step(self, text, place)
        self._telling.look()

    def end(self, at: int, out: list[GrammarEvent]) -> None:
        """The reply is over. A call of which anything is missing is none."""
        telling, state = self._telling, self._state
        held, self._held = self._held, ""
        telling.begin(0, len(held), at, out)
        if self._undecided is not None:
            self._give_back(len(held), held)
        elif state.broken:
            if not self._calls.is_open:
                self._fail("the reply ended inside of a call")
        elif state.what is What.REASONING:
            telling.reasoning(held, len(held))
        elif state.what is What.CONTENT or state.otherwise:
            telling.content(held, len(held))
        telling.end()
        self._calls.end(at, out, finished=False)

    # Text between terminals.

    def _read_content(self, text: str, place: int) -> int:
        stop, terminal = self._find(text, place)
        self._telling.content(text[place:stop], stop)
        return self._stop(text, stop, terminal)

    def _read_reasoning(self, text: str, place: int) -> int:
        stop, terminal = self._find(text, place)
        self._telling.reasoning(text[place:stop], stop)
        return self._stop(text, stop, terminal)

    def _pass_over(self, text: str, place: int) -> int:
        stop, terminal = self._find(text, place)
        if self._state.otherwise:
            begin = _skip(text, place, stop)
            if not self._state.broken:
                self._telling.content(text[place:begin], begin)
            if begin < stop:
                self._enter(self._state.otherwise)
                return begin
        return self._stop(text, stop, terminal)

    def _read_head(self, text: str, place: int) -> int:
        room = HEAD_LIMIT - len(self._head)
        stop, terminal = self._find(text, place, room)
        if stop - place > room:
            return self._break(f"a name of more than {HEAD_LIMIT} characters", text, place, place + room)
        self._head += text[place:stop]
        if self._undecided is not None:
            self._undecided.write(text[place:stop])
        return self._stop(text, stop, terminal)

    def _read_arguments(self, text: str, place: int) -> int:
        if not self._in_object:
            place = _skip(text, place, len(text))
            if place == len(text):
                return place
            if text[place] != "{":
                return self._before_arguments(text, place)
            self._in_object = True
        stop, standing = self._calls.read(text, place, self._telling.at, self._telling.out)
        if standing == "open":
            return stop
        self._in_object = False
        if standing == "broken":
            self._tool = ""
            self._enter(self._state.broken)
        else:
            self._end_call(stop)
            self._enter(self._state.then)
        return stop

    def _before_arguments(self, text: str, place: int) -> int:
        stop, terminal = self._find(text, place, 0)
        if stop > place:
            return self._break("no JSON object where the arguments should be", text, place, place)
        return self._stop(text, stop, terminal)

    def _read_value(self, text: str, place: int) -> int:
        stop, terminal = self._find(text, place)
        value = self._value
        if stop > place:
            self._say(value.feed(text[place:stop]))
            if value.told:
                self._calls.settle(self._telling.at, self._telling.out)
        if terminal:
            self._say(value.end())
            self._calls.settle(self._telling.at, self._telling.out)
            if value.fault:
                return self._break(value.fault, text, stop, stop)
        return self._stop(text, stop, terminal)

    def _read_calls(self, text: str, place: int) -> int:
        reader = self._reader
        assert reader is not None
        if self._undecided is None:
            stop = reader.feed(text, place)
        else:
            stop = self._read_doubtful(reader, self._undecided, text, place)
        if reader.found:
            self._decide()
            self._calls.tell(reader.found, self._telling.at, self._telling.out)
        if reader.refused:
            self._give_back(stop)
        elif reader.fault:
            self._fail(reader.fault)
            self._enter(self._state.broken)
        elif reader.complete:
            self._end_call(stop)
            self._enter(self._state.then)
        return stop

    def _read_doubtful(self, reader: CallsReader, undecided: io.StringIO, text: str, place: int) -> int:
        """A little of it: mostly it is soon clear what it is."""
        end = place + min(_DOUBT_STEP, DOUBT_LIMIT - undecided.tell())
        stop = place + reader.feed(text[place:end])
        if not reader.decided:
            undecided.write(text[place:stop])
            if undecided.tell() == DOUBT_LIMIT and not reader.refused:
                self._give_back(stop)
        return stop

    # Terminals.

    def _stop(self, text: str, stop: int, terminal: str) -> int:
        """At a terminal, or at the end of the text, which may be the beginning of one."""
        if terminal:
            return self._go(text, stop, terminal)
        self._held = text[stop:]
        return len(text)

    def _go(self, text: str, stop: int, terminal: str) -> int:
        tos = self._state.on[terminal]
        for to in (tos,) if isinstance(tos, To) else tos:
            if to.pattern is None:
                return self._follow(to, stop, terminal)
            if match := to.pattern.search(self._head):
                if not self._take(match):
                    break
                return self._follow(to, stop, terminal)
        head = self._head.strip()[:_SHOWN]
        return self._break(f"{terminal.strip()!r} behind {head!r}", text, stop, stop)

    def _take(self, match: re.Match[str]) -> bool:
        """What a head says; false where it may be a call and is none."""
        groups = match.groupdict()
        name = groups.get("name")
        if name:
            if self._undecided is not None and self._names and name not in self._names:
                return False
            self._decide()
            self._tool, self._keys = name, 0
            self._calls.open(name, groups.get("id") or "", self._telling.at, self._telling.out)
        if "key" in groups:
            self._key = groups["key"] or ""
            self._plain_text = False
        if "text" in groups:
            self._plain_text = groups["text"] is not None
        return True

    def _follow(self, to: To, stop: int, terminal: str) -> int:
        if to.ends:
            if self._keys:
                self._say("}")
            self._calls.close(self._telling.at, self._telling.out)
            self._end_call(stop if to.kept else stop + len(terminal))
        self._enter(to.state)
        if to.kept:
            return stop
        if self._undecided is not None:
            self._undecided.write(terminal)
        else:
            self._telling.mark()
        return stop + len(terminal)

    def _enter(self, name: str) -> None:
        state, self._step, self._find = self._states[name]
        self._state = state
        if state.doubtful:
            self._undecided = io.StringIO()
        if state.what is What.HEAD:
            self._head = ""
        elif state.what is What.CALLS:
            self._reader = self._new_reader(state.calls or Calls(), marked=not state.doubtful)
        elif state.what is What.VALUE:
            self._value = ValueText(self._types_of_value(state), state.pad)
            self._say(f'{", " if self._keys else "{"}"{json_string_body(self._key)}": ')
            self._keys += 1

    def _types_of_value(self, state: State) -> Types:
        if self._plain_text:
            return TEXT
        types = self._types.of(self._tool, self._key)
        untyped = types == ANY and self._tool in self._names
        return TEXT if untyped and state.untyped_text else types

    def _new_reader(self, how: Calls, *, marked: bool) -> CallsReader:
        if how.python:
            calls = CallList(self._names, marked=marked, any_name=how.any_name)
            return EitherCalls(calls, ObjectCalls()) if how.objects else calls
        objects = ObjectCalls(self._names, marked=marked)
        return LiteralCalls(objects) if how.literals else objects

    # What is told.

    def _say(self, piece: str) -> None:
        if piece:
            self._calls.say(piece, self._telling.at, self._telling.out)

    def _end_call(self, place: int) -> None:
        self._tool = ""
        self._telling.end_call(place)

    def _decide(self) -> None:
        """It is a call."""
        self._undecided = None
        self._telling.mark()

    def _give_back(self, place: int, rest: str = "") -> None:
        """It was none; `rest` goes with it. The text at hand is told up to `place`."""
        undecided, self._undecided = self._undecided, None
        self._enter(self._state.otherwise)
        self._telling.content((undecided.getvalue() if undecided is not None else "") + rest, place)

    def _break(self, why: str, text: str, place: int, stop: int) -> int:
        """What is read is no call of this format; go on at `stop`."""
        if self._undecided is not None:
            self._give_back(stop, text[place:stop])
        else:
            self._fail(why)
            self._enter(self._state.broken)
        return stop

    def _fail(self, why: str) -> None:
        self._calls.fail(why, self._telling.at, self._telling.out)
        self._tool = ""


_Step: TypeAlias = Callable[[FormatReader, str, int], int]
_STEPS: dict[What, _Step] = {
    What.CONTENT: FormatReader._read_content,
    What.REASONING: FormatReader._read_reasoning,
    What.IGNORED: FormatReader._pass_over,
    What.HEAD: FormatReader._read_head,
    What.ARGUMENTS: FormatReader._read_arguments,
    What.VALUE: FormatReader._read_value,
    What.CALLS: FormatReader._read_calls,
}


@lru_cache(maxsize=256)
def _prepared(marks: Marks, with_tools: bool) -> dict[str, tuple[State, _Step, Find]]:
    """Each state with what reads it and what finds its terminals; shared by all replies."""
    return {
        name: (state, _STEPS[state.what], Terminals(state.terminals(with_tools=with_tools), state.unless).find)
        for name, state in marks.states.items()
    }


def _skip(text: str, at: int, end: int) -> int:
    match = _BLANK.match(text, at, end)
    return match.end() if match is not None else at
