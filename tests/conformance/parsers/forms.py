"""How models write calls: one function for each format. The texts follow the models' chat templates, not the
parsers."""

from collections.abc import Callable, Iterator, Sequence

import orjson

Calls = Sequence[tuple[str, str]]
"""Name and JSON text of the arguments, one call after the other."""
Texts = Sequence[tuple[str, str, bool]]
"""The arguments of one call, each by itself: its name, its text, and whether it is a string."""

SECTION = (
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁sep｜>",
)
KIMI_SECTION = (
    "<|tool_calls_section_begin|>",
    "<|tool_calls_section_end|>",
    "<|tool_call_begin|>",
    "<|tool_call_end|>",
    "<|tool_call_argument_begin|>",
)
HARMONY = ("<|start|>", "<|channel|>", "<|message|>", "<|constrain|>", "<|call|>", "<|end|>", "<|return|>")


def tagged(before: str, after: str) -> Callable[[Calls], str]:
    def write(calls: Calls) -> str:
        bodies = (f'{{"name": "{name}", "arguments": {arguments}}}' for name, arguments in calls)
        return "\n".join(f"{before}{body}{after}" for body in bodies)

    return write


def llama3(calls: Calls) -> str:
    return "<|python_tag|>" + ";".join(
        f'{{"name": "{name}", "parameters": {arguments}}}' for name, arguments in calls
    )


def mistral_list(calls: Calls) -> str:
    bodies = (f'{{"name": "{name}", "arguments": {arguments}}}' for name, arguments in calls)
    return f"[TOOL_CALLS] [{', '.join(bodies)}]"


def mistral(calls: Calls) -> str:
    return "".join(f"[TOOL_CALLS]{name}[ARGS]{arguments}" for name, arguments in calls)


def deepseek_v3(calls: Calls) -> str:
    begin, end, call, call_end, sep = SECTION
    bodies = (f"{call}function{sep}{name}\n```json\n{arguments}\n```{call_end}" for name, arguments in calls)
    return begin + "\n".join(bodies) + end


def deepseek_v31(calls: Calls) -> str:
    begin, end, call, call_end, sep = SECTION
    return begin + "".join(f"{call}{name}{sep}{arguments}{call_end}" for name, arguments in calls) + end


def dsml(block: str, gap: str = "") -> Callable[[Calls], str]:
    def write(calls: Calls) -> str:
        bodies = (_dsml_call(name, values(arguments), gap) for name, arguments in calls)
        return _dsml_block(block, "".join(bodies), gap)

    return write


def dsml_tags(block: str, gap: str = "") -> Callable[[str, Texts], str]:
    return lambda name, texts: _dsml_block(block, _dsml_call(name, texts, gap), gap)


def _dsml_block(block: str, calls: str, gap: str) -> str:
    return f"\n\n<｜DSML｜{gap}{block}>\n{calls}</｜DSML｜{gap}{block}>"


def _dsml_call(name: str, texts: Texts, gap: str) -> str:
    opening, closing = f"<｜DSML｜{gap}parameter", f"</｜DSML｜{gap}parameter>"
    parameters = (
        f'{opening} name="{key}" string="{"true" if is_text else "false"}">{text}{closing}\n'
        for key, text, is_text in texts
    )
    return f'<｜DSML｜{gap}invoke name="{name}">\n{"".join(parameters)}</｜DSML｜{gap}invoke>\n'


def kimi(calls: Calls) -> str:
    begin, end, call, call_end, sep = KIMI_SECTION
    bodies = (
        f"{call}functions.{name}:{number}{sep}{arguments}{call_end}"
        for number, (name, arguments) in enumerate(calls)
    )
    return begin + "".join(bodies) + end


def glm(gap: str) -> Callable[[Calls], str]:
    one = glm_tags(gap)

    def write(calls: Calls) -> str:
        return gap.join(one(name, values(arguments)) for name, arguments in calls)

    return write


def glm_tags(gap: str) -> Callable[[str, Texts], str]:
    def write(name: str, texts: Texts) -> str:
        pairs = (f"<arg_key>{key}</arg_key>{gap}<arg_value>{text}</arg_value>{gap}" for key, text, _ in texts)
        return f"<tool_call>{name}{gap}{''.join(pairs)}</tool_call>"

    return write


def harmony(calls: Calls) -> str:
    bodies = (
        f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{arguments}<|call|>"
        for name, arguments in calls
    )
    return "<|channel|>analysis<|message|>I need a tool.<|end|>" + "".join(
        f"<|start|>assistant{body}" for body in bodies
    )


def qwen3_coder(calls: Calls) -> str:
    return "\n".join(qwen3_coder_tags(name, values(arguments)) for name, arguments in calls)


def qwen3_coder_tags(name: str, texts: Texts) -> str:
    pairs = (f"<parameter={key}>\n{text}\n</parameter>\n" for key, text, _ in texts)
    return f"<tool_call>\n<function={name}>\n{''.join(pairs)}</function>\n</tool_call>"


def minimax(calls: Calls) -> str:
    return _minimax_block("".join(_minimax_call(name, values(arguments)) for name, arguments in calls))


def minimax_tags(name: str, texts: Texts) -> str:
    return _minimax_block(_minimax_call(name, texts))


def _minimax_block(calls: str) -> str:
    return f"<minimax:tool_call>\n{calls}</minimax:tool_call>"


def _minimax_call(name: str, texts: Texts) -> str:
    pairs = (f'<parameter name="{key}">{text}</parameter>\n' for key, text, _ in texts)
    return f'<invoke name="{name}">\n{"".join(pairs)}</invoke>\n'


def intern(gap: str) -> Callable[[Calls], str]:
    def write(calls: Calls) -> str:
        return "".join(
            f'<|action_start|>{gap}<|plugin|>\n{{"name": "{name}", "parameters": {arguments}}}<|action_end|>'
            for name, arguments in calls
        )

    return write


def pythonic(calls: Calls) -> str:
    texts = (f"{name}({', '.join(_keywords(arguments))})" for name, arguments in calls)
    return f"[{', '.join(texts)}]"


def _keywords(arguments: str) -> Iterator[str]:
    return (f"{key}={value!r}" for key, value in orjson.loads(arguments).items())


def lfm2(calls: Calls) -> str:
    return f"<|tool_call_start|>{pythonic(calls)}<|tool_call_end|>"


def values(arguments: str) -> Texts:
    """The arguments by name, strings as they are, anything else as JSON."""
    return [
        (key, value, True) if isinstance(value, str) else (key, orjson.dumps(value).decode(), False)
        for key, value in orjson.loads(arguments).items()
    ]
