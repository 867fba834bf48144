"""`TextReader`: the raw text of one reply in, its events out, whatever formats its reasoning and calls have."""

from collections.abc import Iterable, Iterator, Sequence

from paste_proxy.grammar.calls import CallAssembler
from paste_proxy.grammar.events import ContentText, GrammarEvent, ReasoningText
from paste_proxy.grammar.formats.machine import FormatReader
from paste_proxy.grammar.formats.model import Code, Format, Marks, Protocol, React, ReasoningFormat, Shell
from paste_proxy.grammar.formats.protocols import ObservedText, Observer, parameters
from paste_proxy.grammar.formats.protocols_fenced import BlockReader, CodeBody, CommandBody
from paste_proxy.grammar.formats.protocols_react import ReactReader
from paste_proxy.grammar.formats.reasoning import ReasoningSplit
from paste_proxy.grammar.requests import RequestTool


class TextReader:
    """Reads one reply piece by piece, in linear time. Never raises, whatever the text."""

    __slots__ = ("_fed", "_in_text", "_marks", "_observed", "_reasoning", "_rest_from")

    def __init__(
        self,
        calls: Format | None,
        reasoning: ReasoningFormat | None = None,
        tools: Sequence[RequestTool] = (),
        *,
        in_text: bool = False,
    ) -> None:
        """Without a format the text is content. `tools`: those that the request offers, whose schemas say what
        arguments mean. `in_text`: the client sees all of it as text, so that it stays content, and calls are
        told beside it."""
        self._fed = 0
        self._rest_from = 0
        """Where the text begins that is behind the reasoning."""
        self._in_text = in_text
        self._reasoning = ReasoningSplit(reasoning) if reasoning is not None and not reasoning.marks else None
        self._marks: FormatReader | None = None
        self._observed: ObservedText | None = None
        how = calls.reads if calls is not None else None
        if reasoning is not None and reasoning.marks is not None:
            how = reasoning.marks
        if isinstance(how, Marks):
            self._marks = FormatReader(how, CallAssembler(tools, in_text=in_text), tools)
        elif how is not None:
            self._observed = ObservedText(_observer(how, tools), CallAssembler(tools, in_text=True))

    def feed(self, text: str, at: int, out: list[GrammarEvent]) -> None:
        """More of the text; `at` is where `Malformed` says that it stood."""
        if not text:
            return
        self._fed += len(text)
        if not self._in_text:
            self._read(text, at, out)
            return
        out.append(ContentText(text))
        found: list[GrammarEvent] = []
        self._read(text, at, found)
        out.extend(_beside_text(found))

    def end(self, at: int, out: list[GrammarEvent], *, finished: bool) -> None:
        """The text is over; `finished`: the model ended it, or one of the client's stop strings."""
        found: list[GrammarEvent] = []
        if self._reasoning is not None:
            rest = self._reasoning.end(lambda text: found.append(ReasoningText(text)))
            if rest:
                self._read_rest(rest, at, found)
        if self._marks is not None:
            self._marks.end(at, found)
        elif self._observed is not None:
            self._observed.end(at, found, finished=finished)
        out.extend(_beside_text(found) if self._in_text else found)

    @property
    def settled(self) -> int:
        """Characters fed up to which all was told, as text or as whole calls. From the first `Malformed` on it
        stays where the text begins that was not."""
        split = self._reasoning
        if split is not None and not split.over:
            return self._fed - split.held
        return self._fed if self._marks is None else self._rest_from + self._marks.settled

    def _read(self, text: str, at: int, out: list[GrammarEvent]) -> None:
        split = self._reasoning
        if split is not None and not split.over:
            text = split.feed(text, lambda reasoning: out.append(ReasoningText(reasoning)))
            self._rest_from = self._fed - len(text)
        if text:
            self._read_rest(text, at, out)

    def _read_rest(self, text: str, at: int, out: list[GrammarEvent]) -> None:
        if self._marks is not None:
            self._marks.feed(text, at, out)
        elif self._observed is not None:
            self._observed.feed(text, at, out)
        else:
            out.append(ContentText(text))


def _beside_text(events: Iterable[GrammarEvent]) -> Iterator[GrammarEvent]:
    return (one for one in events if not isinstance(one, (ContentText, ReasoningText)))


def _observer(protocol: Protocol, tools: Sequence[RequestTool]) -> Observer:
    known = parameters(tools)
    match protocol:
        case Shell(tool, argument, languages):
            return BlockReader(lambda found: CommandBody(tool, argument, found), languages=languages)
        case Code(tags, languages, ends_open):
            return BlockReader(
                lambda found: CodeBody(known, found), tags=tags, languages=languages, ends_open=ends_open
            )
        case React(argument, bracketed):
            return ReactReader(known, argument=argument, bracketed=bracketed)
