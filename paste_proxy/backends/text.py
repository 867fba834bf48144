"""How the text behind a backend's replies is to be read, and which of the two opt-ins its engine allows.

The engine says what parsers it runs (`/model_info`); the configuration may say it in its place. A parser of the
engine's is believed: what it lets through as a call is one, what it lets through as content is none.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

import msgspec

from paste_proxy.backends.adapters import Backend
from paste_proxy.config import BackendConfig
from paste_proxy.errors import ConfigError
from paste_proxy.grammar import formats
from paste_proxy.grammar.formats import Format, ReasoningFormat, TextReader
from paste_proxy.grammar.requests import RequestTool

Found = TypeVar("Found", Format, ReasoningFormat)

log = logging.getLogger(__name__)

DISAGREEMENTS = 3
"""Replies in a row whose raw text said other calls than the parsed stream: one may be cut off or odd."""


class ModelInfo(msgspec.Struct, frozen=True):
    """What SGLang's `/model_info` says; None where the engine runs no such parser."""

    model_path: str
    tool_call_parser: str | None = None
    reasoning_parser: str | None = None


class ReplyText:
    """What is known of the text of replies. Changes when the backend has answered, and when an opt-in fails."""

    def __init__(self, config: BackendConfig) -> None:
        """Raises `ConfigError` where the configuration names a format that is not known."""
        self._config = config
        self._configured = _configured("tool_format", config.tool_format, formats.find)
        self._configured_reasoning = _configured(
            "reasoning_format", config.reasoning_format, formats.find_reasoning
        )
        self._info: ModelInfo | None = None
        self._backend: Backend | None = None
        self._raw_tap_off = False
        self._disagreements = 0
        self._said: set[str] = set()
        self.calls: Format | None = self._configured
        """The format of calls in the raw text."""
        self.reasoning: ReasoningFormat | None = self._configured_reasoning
        """And of reasoning."""

    def found(self, backend: Backend, info: ModelInfo | None) -> None:
        """The backend has answered; `info` is None where it does not say what parsers it runs."""
        if (backend, info) == (self._backend, self._info):
            return
        self._backend, self._info = backend, info
        self._raw_tap_off, self._disagreements = False, 0
        self.calls = self._configured or self._known(
            info.tool_call_parser if info else None, "tool-call", formats.find
        )
        self.reasoning = self._configured_reasoning or self._known(
            info.reasoning_parser if info else None, "reasoning", formats.find_reasoning
        )
        self._warn_of_another(info)
        if self._config.parse == "proxy" and (why := self._not_parsed_here()):
            self._once(f"backend.parse: proxy is refused, replies are left as they are: {why}")
        if self._config.raw_tap == "logprobs" and (why := self.why_not_tapped()):
            self._once(f"backend.raw_tap: logprobs has no use here and is off: {why}")

        if self.parsed_here:
            log.info("calls are made here from the text of chat replies (backend.parse: proxy)")
        if self.tapped:
            log.info("the text behind chat replies is read ahead of the engine (backend.raw_tap: logprobs)")

    def _warn_of_another(self, info: ModelInfo | None) -> None:
        """The operator goes before the engine, but may be wrong."""
        parser = info.tool_call_parser if info is not None else None
        engine = self._known(parser, "tool-call", formats.find)
        if self._configured is not None and engine is not None and engine != self._configured:
            self._once(
                f"backend.tool_format says {self._configured.name}, but the engine's parser {parser} reads "
                f"{engine.name}"
            )

    def reader(
        self, tools: tuple[RequestTool, ...], *, calls: bool = True, reasoning: bool = True
    ) -> TextReader:
        """For the text of one reply as the model wrote it."""
        return TextReader(self.calls if calls else None, self.reasoning if reasoning else None, tools)

    def observer(self, tools: tuple[RequestTool, ...], *, api_text: bool) -> TextReader | None:
        """For a reply whose calls the client finds in the text itself, if it has any; `api_text`: the API has
        no other place for them, and no parser of the engine's stands before it."""
        calls = self.format_in_text(api_text=api_text)
        if calls is None:
            return None
        return TextReader(calls, self.reasoning if api_text else self.told_here, tools, in_text=True)

    def format_in_text(self, *, api_text: bool) -> Format | None:
        """What `observer` looks for."""
        return self.calls if api_text else self.passive

    @property
    def told_here(self) -> ReasoningFormat | None:
        """The format of reasoning that stands in the content of chat replies."""
        apart = self._info is not None and self._info.reasoning_parser
        return None if apart else self.reasoning

    @property
    def engine_parses(self) -> bool:
        """The engine turns calls in its text into tool calls."""
        return self._info is not None and bool(self._info.tool_call_parser)

    @property
    def passive(self) -> Format | None:
        """The format of calls in chat replies that nobody parses, so that the client sees them as text."""
        return None if self.engine_parses or self.parsed_here else self._configured

    @property
    def parsed_here(self) -> bool:
        """`parse: proxy`, and the engine was verified to run no parser."""
        return self._config.parse == "proxy" and self._backend is not None and not self._not_parsed_here()

    @property
    def tapped(self) -> bool:
        """`raw_tap: logprobs`, and the engine parses in a format that is known."""
        wanted = self._config.raw_tap == "logprobs" and not self._raw_tap_off
        return wanted and self._backend is not None and not self.why_not_tapped()

    def raw_tap_fails(self, why: str) -> None:
        """No raw text comes, though it was asked for: it is not asked for again."""
        self._raw_tap_off = True
        self._once(f"backend.raw_tap: logprobs is off from now on: {why}")

    def raw_tap_read(self, *, agrees: bool) -> None:
        """One reply's raw text was read beside its parsed stream."""
        self._disagreements = 0 if agrees else self._disagreements + 1
        if self._disagreements == DISAGREEMENTS:
            self.raw_tap_fails(f"in {DISAGREEMENTS} replies in a row it said other calls than the engine")

    def _not_parsed_here(self) -> str:
        if self._info is None:
            return "the backend does not say whether it runs a parser (SGLang's /model_info does)"
        if self._info.tool_call_parser:
            return f"the engine runs the parser {self._info.tool_call_parser} itself"
        if self._configured is None:
            return "no backend.tool_format is set"
        return f"{self._configured.name} is what agents read in the text" if self._configured.in_text else ""

    def why_not_tapped(self) -> str:
        """Why `raw_tap` has no use at this backend; "" where it has."""
        if self._backend is None or not self._backend.tells_tokens:
            return "the backend is no SGLang"
        if self._info is not None and not self._info.tool_call_parser:
            return "the engine runs no tool-call parser, so its text holds nothing back"
        return "the format is not known; set backend.tool_format" if self.calls is None else ""

    def _known(self, parser: str | None, what: str, find: Callable[[str], Found]) -> Found | None:
        if not parser:
            return None
        try:
            return find(parser)
        except formats.UnknownFormatError as error:
            self._once(f"the engine's {what} parser {parser} is none whose format is known here: {error}")
            return None

    def _once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            log.warning("%s", message)


def _configured(key: str, name: str, find: Callable[[str], Found]) -> Found | None:
    try:
        return find(name) if name else None
    except formats.UnknownFormatError as error:
        raise ConfigError(f"backend.{key}: {error}", param=f"backend.{key}") from error
