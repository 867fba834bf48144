"""How models write calls and reasoning as plain text: one table a format, one machine that reads them all.

`find` and `find_reasoning` know them by name, those that SGLang and vLLM give their parsers included; a
`TextReader` reads one reply.
"""

from collections.abc import Iterable
from difflib import get_close_matches

from paste_proxy.grammar.formats.marked_arguments import (
    DEEPSEEK_V3,
    DEEPSEEK_V31,
    HARMONY,
    KIMI_K2,
    MISTRAL,
)
from paste_proxy.grammar.formats.marked_objects import HERMES, INTERN, LFM2, LLAMA3, PYTHONIC
from paste_proxy.grammar.formats.marked_values import DEEPSEEK_V32, DEEPSEEK_V41, GLM, MINIMAX_M2, QWEN3_CODER
from paste_proxy.grammar.formats.model import Code, Format, React, ReasoningFormat, Shell
from paste_proxy.grammar.formats.reader import TextReader
from paste_proxy.grammar.formats.reasoning import reasoning_formats

__all__ = [
    "Format",
    "ReasoningFormat",
    "TextReader",
    "UnknownFormatError",
    "find",
    "find_reasoning",
    "names",
    "reasoning_names",
]

_FORMATS = (
    Format("hermes", HERMES),
    Format("llama3", LLAMA3),
    Format("mistral", MISTRAL),
    Format("deepseek_v3", DEEPSEEK_V3),
    Format("deepseek_v31", DEEPSEEK_V31),
    Format("deepseek_v32", DEEPSEEK_V32),
    Format("deepseek_v41", DEEPSEEK_V41),
    Format("kimi_k2", KIMI_K2),
    Format("glm45", GLM),
    Format("gpt-oss", HARMONY),
    Format("qwen3_coder", QWEN3_CODER),
    Format("minimax_m2", MINIMAX_M2),
    Format("pythonic", PYTHONIC),
    Format("lfm2", LFM2),
    Format("interns1", INTERN),
    Format("react", React()),
    Format("react-brackets", React(bracketed=True)),
    Format("shell", Shell()),
    Format("python", Code()),
)

_ALIASES = {
    "hermes": "qwen qwen25 qwen3_json trinity",
    "llama3": "llama3_json llama4_json",
    "deepseek_v3": "deepseekv3",
    "deepseek_v31": "deepseekv31",
    "deepseek_v32": "deepseekv32 deepseekv4 deepseek_v4",
    "deepseek_v41": "deepseekv41",
    "glm45": "glm glm47 ling3",
    "gpt-oss": "openai harmony",
    "qwen3_coder": "qwen3_xml step3p5 nanbeige",
    "minimax_m2": "minimax-m2",
    "pythonic": "llama4_pythonic",
    "interns1": "internlm",
}
"""What SGLang 0.5.23 and vLLM 0.33 call their parsers of the same format."""


class UnknownFormatError(ValueError):
    """No format has this name; says which there are."""


def names() -> list[str]:
    """Of the formats of calls, without aliases."""
    return [one.name for one in _FORMATS]


def reasoning_names() -> list[str]:
    """Of the formats of reasoning, without aliases."""
    return sorted({one.name for one in reasoning_formats().values()})


def find(name: str) -> Format:
    """The format of calls that has this name. Raises `UnknownFormatError`."""
    known = {one.name: one for one in _FORMATS}
    known |= {alias: known[one] for one, aliases in _ALIASES.items() for alias in aliases.split()}
    try:
        return known[name]
    except KeyError:
        raise UnknownFormatError(_unknown(name, "tool calls", known, names())) from None


def find_reasoning(name: str) -> ReasoningFormat:
    """The format of reasoning that has this name. Raises `UnknownFormatError`."""
    known = reasoning_formats()
    try:
        return known[name]
    except KeyError:
        raise UnknownFormatError(_unknown(name, "reasoning", known, reasoning_names())) from None


def _unknown(name: str, of: str, known: Iterable[str], shown: list[str]) -> str:
    near = get_close_matches(name.lower(), known, n=1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    also = "and the names that SGLang and vLLM give their parsers of these"
    return f"{name!r} is no format of {of}{meant}; known: {', '.join(shown)}, {also}"
