"""How models write calls in each format: the same corpus of calls is written in all of them.

The texts follow the models' chat templates, not the parsers.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec
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
TOOL_CALL = ("<tool_call>", "</tool_call>")


class Reasoning(msgspec.Struct, frozen=True):
    """Which parsers of reasoning run before those of calls."""

    sglang: str
    vllm: str
    opening: str = "<think>"
    """Empty where reasoning is marked as calls are."""
    closing: str = "</think>"
    inside: bool = False
    """The prompt ends with the opening mark: the model does not write it."""


class Writer(msgspec.Struct, frozen=True, kw_only=True):
    """One format: who reads it under which name, which of its strings are one token each, and how it is
    written."""

    name: str
    sglang: str
    """Empty where that peer has no parser for it; so for the other."""
    vllm: str
    marks: tuple[str, ...]
    write: Callable[[Calls], str]
    closing: str
    """What ends a call: JSON and literals may hold it in a string."""
    tags: Callable[[str, Texts], str] | None = None
    """Where each argument stands by itself as plain text: one call with such arguments."""
    python: bool = False
    """Arguments are literals, and their names are Python's."""
    reasoning: Reasoning | None = None
    whole: bool = False
    """SGLang's parsed stream tells a call only when all of it is there."""

    @property
    def spelled(self) -> bool:
        """The arguments stand in it as JSON text."""
        return self.tags is None and not self.python

    @property
    def specials(self) -> tuple[str, ...]:
        thinking = self.reasoning
        tags = (thinking.opening, thinking.closing) if thinking is not None else ()
        return (*self.marks, *filter(None, tags))


def _tagged(before: str, after: str) -> Callable[[Calls], str]:
    def write(calls: Calls) -> str:
        bodies = (f'{{"name": "{name}", "arguments": {arguments}}}' for name, arguments in calls)
        return "\n".join(f"{before}{body}{after}" for body in bodies)

    return write


def _llama3(calls: Calls) -> str:
    return "<|python_tag|>" + ";".join(
        f'{{"name": "{name}", "parameters": {arguments}}}' for name, arguments in calls
    )


def _mistral_list(calls: Calls) -> str:
    bodies = (f'{{"name": "{name}", "arguments": {arguments}}}' for name, arguments in calls)
    return f"[TOOL_CALLS] [{', '.join(bodies)}]"


def _mistral(calls: Calls) -> str:
    return "".join(f"[TOOL_CALLS]{name}[ARGS]{arguments}" for name, arguments in calls)


def _deepseek_v3(calls: Calls) -> str:
    begin, end, call, call_end, sep = SECTION
    bodies = (f"{call}function{sep}{name}\n```json\n{arguments}\n```{call_end}" for name, arguments in calls)
    return begin + "\n".join(bodies) + end


def _deepseek_v31(calls: Calls) -> str:
    begin, end, call, call_end, sep = SECTION
    return begin + "".join(f"{call}{name}{sep}{arguments}{call_end}" for name, arguments in calls) + end


def _dsml(block: str) -> Callable[[Calls], str]:
    def write(calls: Calls) -> str:
        return _dsml_block(block, "".join(_dsml_call(name, values(arguments)) for name, arguments in calls))

    return write


def _dsml_tags(block: str) -> Callable[[str, Texts], str]:
    return lambda name, texts: _dsml_block(block, _dsml_call(name, texts))


def _dsml_block(block: str, calls: str) -> str:
    return f"\n\n<｜DSML｜{block}>\n{calls}</｜DSML｜{block}>"


def _dsml_call(name: str, texts: Texts) -> str:
    head = "<｜DSML｜parameter name="
    parameters = (
        f'{head}"{key}" string="{"true" if is_text else "false"}">{text}</｜DSML｜parameter>\n'
        for key, text, is_text in texts
    )
    return f'<｜DSML｜invoke name="{name}">\n{"".join(parameters)}</｜DSML｜invoke>\n'


def _kimi(calls: Calls) -> str:
    begin, end, call, call_end, sep = KIMI_SECTION
    bodies = (
        f"{call}functions.{name}:{number}{sep}{arguments}{call_end}"
        for number, (name, arguments) in enumerate(calls)
    )
    return begin + "".join(bodies) + end


def _glm(gap: str) -> Callable[[Calls], str]:
    one = _glm_tags(gap)

    def write(calls: Calls) -> str:
        return gap.join(one(name, values(arguments)) for name, arguments in calls)

    return write


def _glm_tags(gap: str) -> Callable[[str, Texts], str]:
    def write(name: str, texts: Texts) -> str:
        pairs = (f"<arg_key>{key}</arg_key>{gap}<arg_value>{text}</arg_value>{gap}" for key, text, _ in texts)
        return f"<tool_call>{name}{gap}{''.join(pairs)}</tool_call>"

    return write


def _harmony(calls: Calls) -> str:
    bodies = (
        f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{arguments}<|call|>"
        for name, arguments in calls
    )
    return "<|channel|>analysis<|message|>I need a tool.<|end|>" + "".join(
        f"<|start|>assistant{body}" for body in bodies
    )


def _qwen3_coder(calls: Calls) -> str:
    return "\n".join(_qwen3_coder_tags(name, values(arguments)) for name, arguments in calls)


def _qwen3_coder_tags(name: str, texts: Texts) -> str:
    pairs = (f"<parameter={key}>\n{text}\n</parameter>\n" for key, text, _ in texts)
    return f"<tool_call>\n<function={name}>\n{''.join(pairs)}</function>\n</tool_call>"


def _minimax(calls: Calls) -> str:
    return _minimax_block("".join(_minimax_call(name, values(arguments)) for name, arguments in calls))


def _minimax_tags(name: str, texts: Texts) -> str:
    return _minimax_block(_minimax_call(name, texts))


def _minimax_block(calls: str) -> str:
    return f"<minimax:tool_call>\n{calls}</minimax:tool_call>"


def _minimax_call(name: str, texts: Texts) -> str:
    pairs = (f'<parameter name="{key}">{text}</parameter>\n' for key, text, _ in texts)
    return f'<invoke name="{name}">\n{"".join(pairs)}</invoke>\n'


def _intern(gap: str) -> Callable[[Calls], str]:
    def write(calls: Calls) -> str:
        return "".join(
            f'<|action_start|>{gap}<|plugin|>\n{{"name": "{name}", "parameters": {arguments}}}<|action_end|>'
            for name, arguments in calls
        )

    return write


def _pythonic(calls: Calls) -> str:
    texts = (f"{name}({', '.join(_keywords(arguments))})" for name, arguments in calls)
    return f"[{', '.join(texts)}]"


def _keywords(arguments: str) -> Iterator[str]:
    return (f"{key}={value!r}" for key, value in orjson.loads(arguments).items())


def _lfm2(calls: Calls) -> str:
    return f"<|tool_call_start|>{_pythonic(calls)}<|tool_call_end|>"


def values(arguments: str) -> Texts:
    """The arguments by name, strings as they are, anything else as JSON."""
    return [
        (key, value, True) if isinstance(value, str) else (key, orjson.dumps(value).decode(), False)
        for key, value in orjson.loads(arguments).items()
    ]


_QWEN3 = Reasoning("qwen3", "qwen3")
_V3 = Reasoning("deepseek-v3", "deepseek_v3")

WRITERS = (
    Writer(
        name="hermes",
        sglang="hermes",
        vllm="hermes",
        marks=TOOL_CALL,
        write=_tagged("<tool_call>", "</tool_call>"),
        closing="</tool_call>",
    ),
    Writer(
        name="qwen25",
        sglang="qwen25",
        vllm="hermes",
        marks=TOOL_CALL,
        write=_tagged("<tool_call>\n", "\n</tool_call>"),
        closing="\n</tool_call>",
        reasoning=_QWEN3,
    ),
    Writer(
        name="llama3",
        sglang="llama3",
        vllm="llama3_json",
        marks=("<|python_tag|>",),
        write=_llama3,
        closing="};",
    ),
    Writer(
        name="mistral_list",
        sglang="mistral",
        vllm="mistral",
        marks=("[TOOL_CALLS]",),
        write=_mistral_list,
        closing="}]",
    ),
    Writer(
        name="mistral",
        sglang="mistral",
        vllm="mistral",
        marks=("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"),
        write=_mistral,
        closing="[TOOL_CALLS]",
        reasoning=Reasoning("mistral", "mistral", "[THINK]", "[/THINK]"),
        whole=True,
    ),
    Writer(
        name="deepseekv3",
        sglang="deepseekv3",
        vllm="deepseek_v3",
        marks=SECTION,
        write=_deepseek_v3,
        closing="\n```" + SECTION[3],
        reasoning=Reasoning("deepseek-r1", "deepseek_r1", inside=True),
        whole=True,
    ),
    Writer(
        name="deepseekv31",
        sglang="deepseekv31",
        vllm="deepseek_v31",
        marks=SECTION,
        write=_deepseek_v31,
        closing=SECTION[3],
        reasoning=_V3,
    ),
    Writer(
        name="deepseekv32",
        sglang="deepseekv32",
        vllm="deepseek_v32",
        marks=("｜DSML｜",),
        write=_dsml("function_calls"),
        closing="</｜DSML｜invoke>",
        tags=_dsml_tags("function_calls"),
        reasoning=_V3,
        whole=True,
    ),
    Writer(
        name="deepseekv4",
        sglang="deepseekv4",
        vllm="deepseek_v4",
        marks=("｜DSML｜",),
        write=_dsml("tool_calls"),
        closing="</｜DSML｜invoke>",
        tags=_dsml_tags("tool_calls"),
        reasoning=Reasoning("deepseek-v4", "deepseek_v4"),
        whole=True,
    ),
    Writer(
        name="kimi_k2",
        sglang="kimi_k2",
        vllm="kimi_k2",
        marks=KIMI_SECTION,
        write=_kimi,
        closing=KIMI_SECTION[3],
        reasoning=Reasoning("kimi_k2", "kimi_k2"),
    ),
    Writer(
        name="glm45",
        sglang="glm45",
        vllm="glm45",
        marks=TOOL_CALL,
        write=_glm("\n"),
        closing="</tool_call>",
        tags=_glm_tags("\n"),
        reasoning=Reasoning("glm45", "glm45"),
    ),
    Writer(
        name="glm47",
        sglang="glm47",
        vllm="glm47",
        marks=TOOL_CALL,
        write=_glm(""),
        closing="</tool_call>",
        tags=_glm_tags(""),
        reasoning=Reasoning("glm45", "glm47"),
    ),
    Writer(
        name="gpt-oss",
        sglang="gpt-oss",
        vllm="openai",
        marks=HARMONY,
        write=_harmony,
        closing="<|call|>",
        reasoning=Reasoning("gpt-oss", "openai_gptoss", "", ""),
        whole=True,
    ),
    Writer(
        name="qwen3_coder",
        sglang="qwen3_coder",
        vllm="qwen3_coder",
        marks=TOOL_CALL,
        write=_qwen3_coder,
        closing="\n</tool_call>",
        tags=_qwen3_coder_tags,
        reasoning=_QWEN3,
    ),
    Writer(
        name="minimax-m2",
        sglang="minimax-m2",
        vllm="minimax_m2",
        marks=("<minimax:tool_call>", "</minimax:tool_call>"),
        write=_minimax,
        closing="</minimax:tool_call>",
        tags=_minimax_tags,
        reasoning=Reasoning("minimax", "minimax_m2", inside=True),
    ),
    Writer(
        name="pythonic",
        sglang="pythonic",
        vllm="pythonic",
        marks=(),
        write=_pythonic,
        closing=")]",
        python=True,
        whole=True,
    ),
    Writer(
        name="lfm2",
        sglang="lfm2",
        vllm="lfm2",
        marks=("<|tool_call_start|>", "<|tool_call_end|>"),
        write=_lfm2,
        closing=")]<|tool_call_end|>",
        python=True,
        whole=True,
    ),
    Writer(
        name="interns1",
        sglang="interns1",
        vllm="",
        marks=("<|action_start|>", "<|plugin|>", "<|action_end|>"),
        write=_intern(" "),
        closing="<|action_end|>",
        reasoning=Reasoning("interns1", ""),
        whole=True,
    ),
    Writer(
        name="internlm2",
        sglang="",
        vllm="internlm",
        marks=("<|action_start|>", "<|plugin|>", "<|action_end|>"),
        write=_intern(""),
        closing="<|action_end|>",
    ),
)
