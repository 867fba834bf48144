"""Formats that give each call's name by itself and its arguments as one JSON object.

Sources as in `marked_objects`.
"""

import re

from paste_proxy.grammar.formats.model import Calls, Marks, On, State, To, What, astray

_NAME = re.compile(r"^\s*(?P<name>\S+)\s*$")

_MISTRAL_NEXT: On = {"[TOOL_CALLS]": To("begin")}
MISTRAL = Marks(
    {
        "content": State(What.CONTENT, _MISTRAL_NEXT),
        # Up to version 7 of its tokenizer a list of objects, since version 11 a name and its arguments.
        "begin": State(
            What.IGNORED,
            {"[": To("calls", kept=True), "{": To("calls", kept=True)},
            otherwise="name",
            broken="lost",
        ),
        "calls": State(What.CALLS, calls=Calls(), then="behind", broken="lost"),
        "name": State(
            What.HEAD,
            {
                "[ARGS]": To("arguments", _NAME),
                "[CALL_ID]": To("call_id", _NAME),
                "{": To("arguments", _NAME, kept=True),
                **astray("[TOOL_CALLS]"),
            },
            broken="lost",
        ),
        "call_id": State(What.HEAD, {"[ARGS]": To("arguments"), **astray("[TOOL_CALLS]")}, broken="lost"),
        "arguments": State(
            What.ARGUMENTS, {"[TOOL_CALLS]": To("begin", ends=True)}, then="behind", broken="lost"
        ),
        "behind": State(What.IGNORED, _MISTRAL_NEXT, otherwise="content"),
        "lost": State(What.IGNORED, _MISTRAL_NEXT),
    }
)

_SECTION, _SECTION_END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_CALL, _CALL_END, _SEP = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"
_DEEPSEEK_NEXT: On = {_CALL: To("head"), _CALL_END: To("section"), _SECTION_END: To("content")}
_DEEPSEEK_COMMON = {
    "content": State(What.CONTENT, {_SECTION: To("section"), _CALL: To("head")}),
    "section": State(What.IGNORED, _DEEPSEEK_NEXT),
    "lost": State(What.IGNORED, _DEEPSEEK_NEXT),
}
_DEEPSEEK_ASTRAY = astray(_CALL, _SECTION_END)
_NO_ARGUMENTS: On = {_CALL_END: To("section", ends=True)}
_NAME_ALONE: On = {_CALL_END: To("section", _NAME, ends=True), **_DEEPSEEK_ASTRAY}

DEEPSEEK_V3 = Marks(
    _DEEPSEEK_COMMON
    | {
        "head": State(What.HEAD, {_SEP: To("name"), **astray(_CALL_END), **_DEEPSEEK_ASTRAY}, broken="lost"),
        "name": State(What.HEAD, {"\n": To("fence", _NAME), **_NAME_ALONE}, broken="lost"),
        "fence": State(
            What.ARGUMENTS, {"```json": To("arguments"), **_NO_ARGUMENTS}, then="behind", broken="lost"
        ),
        "arguments": State(What.ARGUMENTS, _NO_ARGUMENTS, then="behind", broken="lost"),
        "behind": State(What.IGNORED, _DEEPSEEK_NEXT),
    }
)

DEEPSEEK_V31 = Marks(
    _DEEPSEEK_COMMON
    | {
        "head": State(What.HEAD, {_SEP: To("arguments", _NAME), **_NAME_ALONE}, broken="lost"),
        "arguments": State(What.ARGUMENTS, _NO_ARGUMENTS, then="section", broken="lost"),
    }
)

_KIMI_SECTION, _KIMI_SECTION_END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
_KIMI_CALL, _KIMI_CALL_END = "<|tool_call_begin|>", "<|tool_call_end|>"
_KIMI_ID = re.compile(r"^\s*(?P<id>(?:functions\.)?(?P<name>\S+?)(?::\d+)?)\s*$")
_KIMI_NEXT: On = {_KIMI_CALL: To("head"), _KIMI_CALL_END: To("section"), _KIMI_SECTION_END: To("content")}
KIMI_K2 = Marks(
    {
        "content": State(What.CONTENT, {_KIMI_SECTION: To("section"), _KIMI_CALL: To("head")}),
        "section": State(What.IGNORED, _KIMI_NEXT),
        "head": State(
            What.HEAD,
            {
                "<|tool_call_argument_begin|>": To("arguments", _KIMI_ID),
                _KIMI_CALL_END: To("section", _KIMI_ID, ends=True),
                **astray(_KIMI_CALL, _KIMI_SECTION_END),
            },
            broken="lost",
        ),
        "arguments": State(
            What.ARGUMENTS, {_KIMI_CALL_END: To("section", ends=True)}, then="section", broken="lost"
        ),
        "lost": State(What.IGNORED, _KIMI_NEXT),
    }
)

_RECIPIENT = re.compile(r"\bto=functions\.(?P<name>[^\s<]+)")
_OTHER_RECIPIENT = re.compile(r"\bto=")
_ANALYSIS = re.compile(r"(?:^|<\|channel\|>)\s*analysis\b")
_HARMONY_NEXT: On = {"<|start|>": To("header"), "<|channel|>": To("header")}
_HARMONY_ENDS: On = {"<|end|>": To("between"), "<|return|>": To("between"), "<|call|>": To("between")}
HARMONY = Marks(
    {
        "begin": State(What.IGNORED, _HARMONY_NEXT, otherwise="content"),
        # The header goes up to <|message|>, its own marks included: role, recipient and channel in any order.
        "header": State(
            What.HEAD,
            {
                "<|message|>": (
                    To("arguments", _RECIPIENT),
                    To("reasoning", _OTHER_RECIPIENT),  # tools that the server itself runs
                    To("reasoning", _ANALYSIS),
                    To("content"),
                ),
                **_HARMONY_ENDS,
            },
            broken="between",
        ),
        "content": State(What.CONTENT, _HARMONY_ENDS | _HARMONY_NEXT),
        "reasoning": State(What.REASONING, _HARMONY_ENDS | _HARMONY_NEXT),
        "arguments": State(
            What.ARGUMENTS,
            {mark: To("between", ends=True) for mark in _HARMONY_ENDS},
            then="between",
            broken="between",
        ),
        "between": State(What.IGNORED, _HARMONY_ENDS | _HARMONY_NEXT),
    },
    start="begin",
)
