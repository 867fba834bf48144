"""Formats whose calls are JSON objects, or Python calls, behind a mark.

Sources: the models' chat templates, and where those leave it open the parsers of SGLang 0.5.23 and vLLM 0.33.
"""

from paste_proxy.grammar.formats.model import Calls, Marks, On, State, To, What
from paste_proxy.grammar.formats.pythonic import NO_LIST


def tagged(openings: tuple[str, ...], closing: str, calls: Calls | None = None) -> Marks:
    """`<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, any number of them, text between them."""
    begin: On = dict.fromkeys(openings, To("calls"))
    return Marks(
        {
            "content": State(What.CONTENT, begin),
            "calls": State(What.CALLS, calls=calls or Calls(), then="behind", broken="lost"),
            "behind": State(What.IGNORED, {closing: To("content"), **begin}, otherwise="content"),
            "lost": State(What.IGNORED, {closing: To("content"), **begin}),
        }
    )


HERMES = tagged(("<tool_call>",), "</tool_call>")

INTERN = tagged(("<|action_start|> <|plugin|>", "<|action_start|><|plugin|>"), "<|action_end|>")
"""Intern-S1, and InternLM 2, which writes no blank."""

LLAMA3 = Marks(
    {
        # Llama 3.2 leaves the mark out where it says nothing else.
        "begin": State(
            What.IGNORED,
            {"<|python_tag|>": To("calls"), "{": To("bare", kept=True)},
            otherwise="content",
        ),
        "content": State(What.CONTENT, {"<|python_tag|>": To("calls")}),
        "calls": State(What.CALLS, calls=Calls(literals=True), then="behind", broken="lost"),
        "bare": State(
            What.CALLS,
            calls=Calls(literals=True),
            doubtful=True,
            then="behind",
            broken="lost",
            otherwise="content",
        ),
        "behind": State(
            What.IGNORED, {";": To("separated"), "<|python_tag|>": To("calls")}, otherwise="content"
        ),
        "separated": State(
            What.IGNORED,
            {"{": To("calls", kept=True), "<|python_tag|>": To("calls")},
            otherwise="content",
        ),
        "lost": State(What.IGNORED, {"<|python_tag|>": To("calls")}),
    },
    start="begin",
)

_LLAMA4_MARKS: On = {"<|python_start|>": To("begin"), "<|python_end|>": To("begin")}
"""Marks that llama 4 sometimes puts around the list: they say nothing."""
_LATER_LIST: On = {"[": To("list", kept=True, with_tools=True, unless=NO_LIST), **_LLAMA4_MARKS}
"""Behind other text a list is one of calls only where its first name is known."""


def _list(*, any_name: bool) -> State:
    return State(
        What.CALLS,
        calls=Calls(python=True, any_name=any_name),
        doubtful=True,
        then="behind",
        broken="content",
        otherwise="content",
    )


PYTHONIC = Marks(
    {
        # In the beginning, where the template wants calls, the shape decides: whoever writes `[f(a=` there
        # calls, be it a tool that nobody offers.
        "begin": State(What.IGNORED, {"[": To("first", kept=True), **_LLAMA4_MARKS}, otherwise="content"),
        "content": State(What.CONTENT, _LATER_LIST),
        "first": _list(any_name=True),
        "list": _list(any_name=False),
        "behind": State(What.IGNORED, _LATER_LIST, otherwise="content"),
    },
    start="begin",
)

LFM2 = tagged(("<|tool_call_start|>",), "<|tool_call_end|>", Calls(python=True, objects=True))
"""Python, or JSON where the system prompt asks for it."""
