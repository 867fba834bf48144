"""ReAct: `Thought:`, `Action:`, `Action Input:` lines in plain text, and `Action: Search[query]` of its paper.

The first action of a turn counts, where its markers begin their lines, outside of code blocks; as LangChain
reads it, its input goes on to `Observation` in the beginning of a line or to the end of the turn, without
spaces and double quotes around it. Input that begins with `{` is a JSON object of arguments, as CrewAI,
LlamaIndex and Qwen-Agent ask for, and ends with it.

LangChain's and CrewAI's regular expressions find markers anywhere. So a turn that has them where they are not
read, or before those that are, is told as broken: nobody knows what the agent makes of it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from paste_proxy.grammar.formats.python_source import SourceScanner
from paste_proxy.grammar.formats.python_string import json_string_body
from paste_proxy.grammar.formats.pythonic import Found
from paste_proxy.grammar.formats.react_markers import Markers
from paste_proxy.grammar.formats.until import Trim, Until

HEAD_LIMIT = 32
"""Characters before the colon of a line that may be a marker; `Action Input 12` has 15."""
NAME_LIMIT = 128
"""Characters of a tool's name; LangChain's tools have names of a few words at most."""

_HEAD = re.compile(r"[^:\n]*")
_LINE = re.compile(r"[^\n]*")
_UP_TO_BRACKET = re.compile(r"[^\[\n]*")
_WHITE = re.compile(r"\s*")
_ACTION = re.compile(r"\s*Action\s*\d*\s*")
_INPUT = re.compile(r"\s*Action\s*\d*\s*Input\s*\d*\s*")
_OVER = re.compile(r"\s*(?:Observation|Final Answer)\s*\d*\s*")
_NAME = re.compile(r"[\w.:/-]+")
_FENCE = "```"


class ReactReader:
    """Reads one turn piece by piece, in linear time. Never raises.

    `Action:` before anything but one word, or the name of a known tool, is prose.
    """

    __slots__ = (
        "_argument",
        "_bracketed",
        "_colon",
        "_fenced",
        "_markers",
        "_scanner",
        "_step",
        "_token",
        "_tools",
        "_trim",
        "_until",
        "found",
    )

    def __init__(
        self, tools: Mapping[str, Sequence[str]], *, argument: str = "input", bracketed: bool = False
    ) -> None:
        """`tools`: the names of the parameters of each tool, in their order. Input that is no JSON is the first
        of them, or `argument` where the tool is not known. `bracketed`: `Action: NAME[input]` on one line."""
        self.found: list[Found] = []
        """The calls, as of `CallList`; the caller takes and clears."""
        self._tools = tools
        self._argument = argument
        self._bracketed = bracketed
        self._step: _Step = ReactReader._head
        self._token = ""
        """What was read of a line's head or of a name."""
        self._fenced = False
        self._markers: Markers | None = Markers(bracketed=bracketed)
        """Of the turn, while all of them were passed over."""
        self._colon = -1
        """Where the colon of the last `Action:` stands that was not."""
        self._scanner = SourceScanner()
        self._until = Until("\nObservation")
        self._trim = Trim('"', '" ')

    def feed(self, text: str, at: int = 0) -> None:
        end = len(text)
        while at < end:
            step = self._step
            stop = step(self, text, at)
            if self._markers is not None:
                self._markers.feed(text, at, stop)
                if step is ReactReader._head and self._step in _NAMES:
                    self._colon = self._markers.size - 1
                if self._markers.seen:
                    self._say_unclear()
            at = stop

    def end(self, *, finished: bool) -> None:
        """The turn is over; `finished`: the model ended it, or one of the client's stop strings."""
        step, self._step = self._step, ReactReader._over
        if step is ReactReader._input and finished:
            self._begin_text()
            step = ReactReader._first_text
        if step in (ReactReader._text, ReactReader._first_text) and finished:
            held = self._until.held
            self._say(self._trim.feed(held[1:] if step is ReactReader._first_text else held))
            self._end_text()
        elif step is ReactReader._brackets and finished:
            self._end_brackets()
        elif step in _OPEN:
            self.found.append(("broken", "the turn ended inside of the action"))

    # Lines outside of an action.

    def _head(self, text: str, at: int) -> int:
        """The beginning of a line, which says what the line is."""
        at = self._gather(_HEAD, text, at, HEAD_LIMIT)
        head = self._token
        if at == len(text) and len(head) < HEAD_LIMIT:
            return at
        self._token = ""
        self._step = ReactReader._rest
        if head.lstrip().startswith(_FENCE):
            self._fenced = not self._fenced
        elif len(head) < HEAD_LIMIT and text[at] == ":" and not self._fenced:
            if _ACTION.fullmatch(head):
                self._step = ReactReader._bracket_name if self._bracketed else ReactReader._name
                return at + 1
            if _OVER.fullmatch(head):
                self._step = ReactReader._over
        return at

    def _rest(self, text: str, at: int) -> int:
        """The rest of a line that means nothing."""
        line = text.find("\n", at)
        if line < 0:
            return len(text)
        self._step = ReactReader._head
        return line + 1

    def _over(self, text: str, at: int) -> int:
        """Nothing behind this is run."""
        return len(text)

    # `Action: NAME`, `Action Input: ...`

    def _name(self, text: str, at: int) -> int:
        at = self._gather(_LINE, text, at, NAME_LIMIT)
        short = len(self._token) < NAME_LIMIT
        if at == len(text) and short:
            return at
        name, self._token = self._token.strip(), ""
        if short and not name:  # The name stands in the next line.
            return at + 1
        if short and (name in self._tools or _NAME.fullmatch(name)):
            self._open(name)
            self._step = ReactReader._input_head
        else:
            self._step = ReactReader._rest
        return at

    def _input_head(self, text: str, at: int) -> int:
        if not self._token:
            match = _WHITE.match(text, at)
            at = match.end() if match is not None else at
        at = self._gather(_HEAD, text, at, HEAD_LIMIT)
        short = len(self._token) < HEAD_LIMIT
        if at == len(text) and short:
            return at
        if short and text[at] == ":" and _INPUT.fullmatch(self._token):
            self._token = ""
            self._step = ReactReader._input
            return at + 1
        self.found.append(("broken", "an action without input"))
        self._step = ReactReader._head
        return at

    def _input(self, text: str, at: int) -> int:
        """White space before the input; a line end in it may be the one before `Observation`."""
        match = _WHITE.match(text, at)
        stop = match.end() if match is not None else at
        if "\n" in text[at:stop]:
            self._token = "\n"
        if stop < len(text):
            if text[stop] == "{":
                self._token = ""
                self._scanner = SourceScanner()
                self._step = ReactReader._json
            else:
                self._begin_text()
        return stop

    def _json(self, text: str, at: int) -> int:
        stop = self._scanner.feed(text, at)
        self.found.append(("text", text[at:stop]))
        if self._scanner.depth == 0:
            self.found.append(("close", ""))
            self._step = ReactReader._over
        return stop

    def _begin_text(self) -> None:
        self._begin_argument()
        self._until.feed(self._token)
        self._token = ""
        self._step = ReactReader._first_text

    def _first_text(self, text: str, at: int) -> int:
        """A line end that was skipped is not of the input, unless it turns out to be of its end."""
        pending = bool(self._until.held)
        piece, at = self._until.feed(text, at)
        return self._more_text(piece[1:] if pending and piece else piece, at, text)

    def _text(self, text: str, at: int) -> int:
        piece, at = self._until.feed(text, at)
        return self._more_text(piece, at, text)

    def _more_text(self, piece: str, at: int, text: str) -> int:
        self._say(self._trim.feed(piece))
        if self._until.reached:
            self._end_text()
        elif piece:
            self._step = ReactReader._text
        return at

    def _end_text(self) -> None:
        self._say(self._trim.tail.rstrip(" ").rstrip('"'))
        self._seal()

    # `Action: NAME[input]`

    def _bracket_name(self, text: str, at: int) -> int:
        at = self._gather(_UP_TO_BRACKET, text, at, NAME_LIMIT)
        short = len(self._token) < NAME_LIMIT
        if at == len(text) and short:
            return at
        name, self._token = self._token.strip(), ""
        if short and text[at] == "[" and (name in self._tools or _NAME.fullmatch(name)):
            self._open(name)
            self._begin_argument()
            self._trim = Trim("", "] \t\r")
            self._step = ReactReader._brackets
            return at + 1
        self._step = ReactReader._rest
        return at

    def _brackets(self, text: str, at: int) -> int:
        """The input goes to the last bracket of the line: it may have brackets itself."""
        line = text.find("\n", at)
        self._say(self._trim.feed(text[at:] if line < 0 else text[at:line]))
        if line < 0:
            return len(text)
        self._end_brackets()
        return line

    def _end_brackets(self) -> None:
        before, bracket, _ = self._trim.tail.rpartition("]")
        if bracket:
            self._say(before)
            self._seal()
        else:
            self.found.append(("broken", "no bracket at the end of the line"))
            self._step = ReactReader._over

    # What is told.

    def _open(self, name: str) -> None:
        if self._markers is not None and self._markers.first != self._colon:
            self._say_unclear()
        self._markers = None
        self.found.append(("open", name))
        parameters = self._tools.get(name)
        if parameters:
            self._argument = parameters[0]

    def _say_unclear(self) -> None:
        self._markers = None
        self.found.append(("broken", "an action where none is read"))

    def _begin_argument(self) -> None:
        self.found.append(("text", f'{{"{json_string_body(self._argument)}": "'))

    def _say(self, text: str) -> None:
        if text:
            self.found.append(("text", json_string_body(text)))

    def _seal(self) -> None:
        self.found += (("text", '"}'), ("close", ""))
        self._step = ReactReader._over

    def _gather(self, pattern: re.Pattern[str], text: str, at: int, limit: int) -> int:
        match = pattern.match(text, at, at + limit - len(self._token))
        if match is not None:
            self._token += match[0]
            at = match.end()
        return at


_Step: TypeAlias = Callable[[ReactReader, str, int], int]
_NAMES = (ReactReader._name, ReactReader._bracket_name)
"""Behind the colon of `Action:`."""
_OPEN = (
    ReactReader._input_head,
    ReactReader._input,
    ReactReader._json,
    ReactReader._text,
    ReactReader._first_text,
    ReactReader._brackets,
)
"""Where a call is open."""
