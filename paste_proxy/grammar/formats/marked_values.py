"""Formats that write each argument between tags of its own.

Sources as in `marked_objects`.
"""

import re

from paste_proxy.grammar.formats.model import Marks, On, State, To, What, astray

_NAME = re.compile(r"^\s*(?P<name>\S+)\s*$")
_BLANK = re.compile(r"^\s*$")
_KEY = re.compile(r"^\s*(?P<key>.*\S)?\s*$", re.DOTALL)
_QUOTED_NAME = re.compile(r"""^\s*["']?(?P<name>[^"'\s]+)["']?\s*$""")
_QUOTED_KEY = re.compile(r"""^\s*["']?(?P<key>[^"']*)["']?\s*$""")

GLM = Marks(
    {
        "content": State(What.CONTENT, {"<tool_call>": To("name")}),
        "name": State(
            What.HEAD,
            {
                "\n": (To("parts", _NAME), To("name", _BLANK)),
                "<": To("parts", _NAME, kept=True),
            },
            broken="lost",
        ),
        "parts": State(
            What.IGNORED,
            {
                "<arg_key>": To("key"),
                "</tool_call>": To("content", ends=True),
                **astray("<tool_call>"),
            },
            broken="lost",
        ),
        "key": State(
            What.HEAD,
            {"</arg_key>": To("between", _KEY), **astray("<tool_call>", "</tool_call>")},
            broken="lost",
        ),
        "between": State(
            What.IGNORED,
            {"<arg_value>": To("value"), **astray("<tool_call>", "</tool_call>")},
            broken="lost",
        ),
        "value": State(What.VALUE, {"</arg_value>": To("parts")}, broken="lost"),
        "lost": State(What.IGNORED, {"</tool_call>": To("content"), "<tool_call>": To("name")}),
    }
)

_QWEN_PARTS: On = {"<parameter=": To("key"), "</function>": To("behind", ends=True)}
QWEN3_CODER = Marks(
    {
        # The model often forgets <tool_call>, which is the one special token here.
        "content": State(What.CONTENT, {"<tool_call>": To("opened"), "<function=": To("bare_name")}),
        "opened": State(What.IGNORED, {"<function=": To("name"), "</tool_call>": To("content")}, broken="lost"),
        "name": State(What.HEAD, {">": To("parts", _NAME), **astray("<")}, broken="lost"),
        "bare_name": State(
            What.HEAD,
            {">": To("parts", _NAME), **astray("<", " ", "\n")},
            doubtful=True,
            otherwise="content",
        ),
        "parts": State(
            What.IGNORED,
            {**_QWEN_PARTS, "</tool_call>": To("content", ends=True), **astray("<tool_call>")},
            broken="lost",
        ),
        "key": State(What.HEAD, {">": To("value", _KEY)}, broken="lost"),
        # A value also ends where the next part begins, as in Qwen's own parser.
        "value": State(
            What.VALUE, {"</parameter>": To("parts"), **_QWEN_PARTS}, pad="\n", untyped_text=True, broken="lost"
        ),
        "behind": State(
            What.IGNORED,
            {"</tool_call>": To("content"), "<tool_call>": To("opened"), "<function=": To("name")},
            otherwise="content",
        ),
        "lost": State(What.IGNORED, {"</tool_call>": To("content"), "<tool_call>": To("opened")}),
    }
)

_MINIMAX_NEXT: On = {"<invoke name=": To("name"), "</minimax:tool_call>": To("content")}
MINIMAX_M2 = Marks(
    {
        "content": State(What.CONTENT, {"<minimax:tool_call>": To("block")}),
        "block": State(What.IGNORED, _MINIMAX_NEXT),
        "name": State(What.HEAD, {">": To("parts", _QUOTED_NAME)}, broken="lost"),
        "parts": State(
            What.IGNORED,
            {
                "<parameter name=": To("key"),
                "</invoke>": To("block", ends=True),
                **astray(*_MINIMAX_NEXT),
            },
            broken="lost",
        ),
        "key": State(What.HEAD, {">": To("value", _QUOTED_KEY)}, broken="lost"),
        "value": State(What.VALUE, {"</parameter>": To("parts")}, untyped_text=True, broken="lost"),
        "lost": State(What.IGNORED, _MINIMAX_NEXT),
    }
)

_DSML_KEY = re.compile(r"""^\s*["'](?P<key>[^"']*)["'](?:(?P<text>\s+string="true")|.*)\s*$""")


def dsml(*blocks: str, gap: str = "") -> Marks:
    """`<｜DSML｜invoke name="f"><｜DSML｜parameter name="a" ...>` in one of these blocks; in V4.1 with a gap
    behind the mark."""
    opening, closing = f"<｜DSML｜{gap}", f"</｜DSML｜{gap}"
    behind: On = {
        f"{opening}invoke name=": To("name"),
        **{f"{closing}{block}>": To("content") for block in blocks},
    }
    parts: On = {
        f"{opening}parameter name=": To("key"),
        f"{closing}invoke>": To("block", ends=True),
    }
    return Marks(
        {
            "content": State(What.CONTENT, {f"{opening}{block}>": To("block") for block in blocks}),
            "block": State(What.IGNORED, behind),
            "name": State(
                What.HEAD,
                {"/>": To("block", _QUOTED_NAME, ends=True), ">": To("body", _QUOTED_NAME)},
                broken="lost",
            ),
            # Arguments are one JSON object, or parameters each by itself.
            "body": State(What.ARGUMENTS, parts, then="block", broken="lost"),
            "parts": State(What.IGNORED, {**parts, **astray(*behind)}, broken="lost"),
            "key": State(What.HEAD, {">": To("value", _DSML_KEY)}, broken="lost"),
            "value": State(What.VALUE, {f"{closing}parameter>": To("parts")}, broken="lost"),
            "lost": State(What.IGNORED, behind),
        }
    )


DEEPSEEK_V32 = dsml("function_calls", "tool_calls")
"""And V4, whose block has the other name."""

DEEPSEEK_V41 = dsml("calls", gap=" ")
