"""Reasoning that stands between tags in the beginning of a reply, parted from what follows."""

from collections.abc import Callable
from functools import lru_cache

from paste_proxy.grammar.formats.lexer import Find, Terminals
from paste_proxy.grammar.formats.marked_arguments import HARMONY
from paste_proxy.grammar.formats.model import ReasoningFormat
from paste_proxy.grammar.formats.telling import BLANK_LIMIT

_TOOL_CALL = ("<tool_call>",)
_KIMI_SECTION = ("<|tool_calls_section_begin|>",)

_FORMATS = (
    ReasoningFormat("think", "<think>", "</think>", interrupted_by=_TOOL_CALL),
    ReasoningFormat("think-open", "<think>", "</think>", inside=True, interrupted_by=_TOOL_CALL),
    ReasoningFormat("deepseek-r1", "<think>", "</think>", inside=True),
    ReasoningFormat("deepseek-v3", "<think>", "</think>"),
    ReasoningFormat("kimi", "◁think▷", "◁/think▷"),
    ReasoningFormat("kimi_k2", "<think>", "</think>", interrupted_by=_KIMI_SECTION),
    ReasoningFormat("mistral", "[THINK]", "[/THINK]"),
    ReasoningFormat("apertus", "<|inner_prefix|>", "<|inner_suffix|>"),
    ReasoningFormat("gpt-oss", marks=HARMONY),
)

_ALIASES = {
    "think": "qwen3 dots glm45 glm47 ling3 nanbeige interns1 nemotron_3 nemotron_v3 granite_thinking_parser",
    "think-open": "qwen3-thinking minimax minimax_m2 mimo iquest_q1",
    "deepseek-r1": "deepseek_r1 step3 step3p5 gigachat35",
    "deepseek-v3": "deepseek_v3 deepseek-v4 deepseek_v4 deepseek-v41 deepseek_v41",
    "apertus": "apertus2509",
    "gpt-oss": "openai_gptoss",
}
"""What SGLang 0.5.23 and vLLM 0.33 call their parsers of the same format."""


def reasoning_formats() -> dict[str, ReasoningFormat]:
    """By every name."""
    known = {one.name: one for one in _FORMATS}
    return known | {alias: known[name] for name, aliases in _ALIASES.items() for alias in aliases.split()}


class ReasoningSplit:
    """Reads the text of one reply; says what of it is reasoning and what comes behind."""

    __slots__ = ("_begins", "_find", "_format", "_held", "over")

    def __init__(self, format_: ReasoningFormat) -> None:
        self._format = format_
        self._find = _marks((format_.closing, *format_.interrupted_by))
        self._held = ""
        """In the beginning, what may become the opening mark; later, what may become a closing one."""
        self._begins = True
        self.over = False
        """All that comes is behind the reasoning."""

    @property
    def held(self) -> int:
        """Characters that may be part of a mark."""
        return len(self._held)

    def feed(self, text: str, reason: Callable[[str], None]) -> str:
        """Hands reasoning to `reason`; returns what stands behind it."""
        text, self._held = self._held + text, ""
        if self._begins:
            text = self._begin(text)
        if self.over or self._begins:
            return text
        stop, mark = self._find(text, 0)
        if stop:
            reason(text[:stop])
        if not mark:
            self._held = text[stop:]
            return ""
        self.over = True
        return text[stop + len(mark) if mark == self._format.closing else stop :]

    def _begin(self, text: str) -> str:
        """Does the reply begin with reasoning? Returns its text, without the mark; nothing while that is not
        decided."""
        seen = text.lstrip()
        near = len(text) - len(seen) <= BLANK_LIMIT
        opening = self._format.opening
        if near and len(seen) < len(opening) and opening.startswith(seen):
            self._held = text
            return ""
        self._begins = False
        if near and seen.startswith(opening):
            return seen[len(opening) :]
        self.over = not self._format.inside
        return text

    def end(self, reason: Callable[[str], None]) -> str:
        """The reply is over: what was held back, and was no mark."""
        text, self._held = self._held, ""
        inside = not self.over and (self._format.inside or not self._begins)
        self.over = True
        if inside and text:
            reason(text)
        return "" if inside else text


@lru_cache(maxsize=32)
def _marks(strings: tuple[str, ...]) -> Find:
    """Shared by all replies; there is one for each format."""
    return Terminals(strings).find
