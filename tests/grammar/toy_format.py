"""A raw text format for tests: `text<<name{"a": 1}>>text`; `!` inside a call is malformed."""

from paste_proxy.grammar.calls import CallAssembler
from paste_proxy.grammar.events import ContentText, GrammarEvent, Malformed


class ToyReader:
    def __init__(self) -> None:
        self._calls = CallAssembler()
        self._count = 0
        self._state = "text"
        self._held = ""
        self.name = ""
        self.settled = 0
        self._fed = 0
        self._lost = False

    def feed(self, text: str, at: int, out: list[GrammarEvent]) -> None:
        for char in text:
            self._fed += 1
            before = len(out)
            self._read(char, at, out)
            self._lost = self._lost or any(isinstance(one, Malformed) for one in out[before:])
            if self._state == "text" and not self._held and not self._lost:
                self.settled = self._fed

    def _read(self, char: str, at: int, out: list[GrammarEvent]) -> None:
        if self._state == "text":
            self._text(char, out)
        elif char == "!":
            out.append(Malformed("an exclamation mark", at))
        elif self._state == "name":
            self._name(char, at, out)
        else:
            self._arguments(char, at, out)

    def end(self, at: int, out: list[GrammarEvent], *, finished: bool) -> None:
        if self._state == "text" and self._held:
            out.append(ContentText(self._held))
        if self._state == "name":
            out.append(Malformed("no name", at))
        self._calls.end(at, out, finished=finished)

    def _text(self, char: str, out: list[GrammarEvent]) -> None:
        held = self._held + char
        self._held = ""
        if held == "<<":
            self._state = "name"
        elif held == "<":
            self._held = held
        else:
            out.append(ContentText(held))

    def _name(self, char: str, at: int, out: list[GrammarEvent]) -> None:
        if char == "{":
            self._calls.delta(self._count, "", self.name, char, at, out)
            self.name, self._state = "", "arguments"
        elif char == ">":
            self._calls.delta(self._count, "", self.name, "", at, out)
            self.name, self._state, self._held = "", "arguments", ">"
        else:
            self.name += char

    def _arguments(self, char: str, at: int, out: list[GrammarEvent]) -> None:
        held = self._held + char
        self._held = ""
        if held == ">>":
            self._calls.close(self._count, at, out)
            self._count += 1
            self._state = "text"
        elif held == ">":
            self._held = held
        else:
            self._calls.delta(self._count, "", "", held, at, out)
