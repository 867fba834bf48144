"""The formats, with the names of the parsers that read them: the same corpus of calls is written in all."""

from collections.abc import Callable

import msgspec

from tests.conformance.parsers import forms
from tests.conformance.parsers.forms import HARMONY, KIMI_SECTION, SECTION, Calls, Texts

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


_QWEN3 = Reasoning("qwen3", "qwen3")
_V3 = Reasoning("deepseek-v3", "deepseek_v3")

WRITERS = (
    Writer(
        name="hermes",
        sglang="hermes",
        vllm="hermes",
        marks=TOOL_CALL,
        write=forms.tagged("<tool_call>", "</tool_call>"),
        closing="</tool_call>",
    ),
    Writer(
        name="qwen25",
        sglang="qwen25",
        vllm="hermes",
        marks=TOOL_CALL,
        write=forms.tagged("<tool_call>\n", "\n</tool_call>"),
        closing="\n</tool_call>",
        reasoning=_QWEN3,
    ),
    Writer(
        name="llama3",
        sglang="llama3",
        vllm="llama3_json",
        marks=("<|python_tag|>",),
        write=forms.llama3,
        closing="};",
    ),
    Writer(
        name="mistral_list",
        sglang="mistral",
        vllm="mistral",
        marks=("[TOOL_CALLS]",),
        write=forms.mistral_list,
        closing="}]",
    ),
    Writer(
        name="mistral",
        sglang="mistral",
        vllm="mistral",
        marks=("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"),
        write=forms.mistral,
        closing="[TOOL_CALLS]",
        reasoning=Reasoning("mistral", "mistral", "[THINK]", "[/THINK]"),
        whole=True,
    ),
    Writer(
        name="deepseekv3",
        sglang="deepseekv3",
        vllm="deepseek_v3",
        marks=SECTION,
        write=forms.deepseek_v3,
        closing="\n```" + SECTION[3],
        reasoning=Reasoning("deepseek-r1", "deepseek_r1", inside=True),
        whole=True,
    ),
    Writer(
        name="deepseekv31",
        sglang="deepseekv31",
        vllm="deepseek_v31",
        marks=SECTION,
        write=forms.deepseek_v31,
        closing=SECTION[3],
        reasoning=_V3,
    ),
    Writer(
        name="deepseekv32",
        sglang="deepseekv32",
        vllm="deepseek_v32",
        marks=("｜DSML｜",),
        write=forms.dsml("function_calls"),
        closing="</｜DSML｜invoke>",
        tags=forms.dsml_tags("function_calls"),
        reasoning=_V3,
        whole=True,
    ),
    Writer(
        name="deepseekv4",
        sglang="deepseekv4",
        vllm="deepseek_v4",
        marks=("｜DSML｜",),
        write=forms.dsml("tool_calls"),
        closing="</｜DSML｜invoke>",
        tags=forms.dsml_tags("tool_calls"),
        reasoning=Reasoning("deepseek-v4", "deepseek_v4"),
        whole=True,
    ),
    Writer(
        name="deepseekv41",
        sglang="deepseekv41",
        vllm="deepseek_v41",
        marks=("｜DSML｜",),
        write=forms.dsml("calls", " "),
        closing="</｜DSML｜ invoke>",
        tags=forms.dsml_tags("calls", " "),
        reasoning=Reasoning("deepseek-v41", "deepseek_v41"),
        whole=True,
    ),
    Writer(
        name="kimi_k2",
        sglang="kimi_k2",
        vllm="kimi_k2",
        marks=KIMI_SECTION,
        write=forms.kimi,
        closing=KIMI_SECTION[3],
        reasoning=Reasoning("kimi_k2", "kimi_k2"),
    ),
    Writer(
        name="glm45",
        sglang="glm45",
        vllm="glm45",
        marks=TOOL_CALL,
        write=forms.glm("\n"),
        closing="</tool_call>",
        tags=forms.glm_tags("\n"),
        reasoning=Reasoning("glm45", "glm45"),
    ),
    Writer(
        name="glm47",
        sglang="glm47",
        vllm="glm47",
        marks=TOOL_CALL,
        write=forms.glm(""),
        closing="</tool_call>",
        tags=forms.glm_tags(""),
        reasoning=Reasoning("glm45", "glm47"),
    ),
    Writer(
        name="gpt-oss",
        sglang="gpt-oss",
        vllm="openai",
        marks=HARMONY,
        write=forms.harmony,
        closing="<|call|>",
        reasoning=Reasoning("gpt-oss", "openai_gptoss", "", ""),
        whole=True,
    ),
    Writer(
        name="qwen3_coder",
        sglang="qwen3_coder",
        vllm="qwen3_coder",
        marks=TOOL_CALL,
        write=forms.qwen3_coder,
        closing="\n</tool_call>",
        tags=forms.qwen3_coder_tags,
        reasoning=_QWEN3,
    ),
    Writer(
        name="minimax-m2",
        sglang="minimax-m2",
        vllm="minimax_m2",
        marks=("<minimax:tool_call>", "</minimax:tool_call>"),
        write=forms.minimax,
        closing="</minimax:tool_call>",
        tags=forms.minimax_tags,
        reasoning=Reasoning("minimax", "minimax_m2", inside=True),
    ),
    Writer(
        name="pythonic",
        sglang="pythonic",
        vllm="pythonic",
        marks=(),
        write=forms.pythonic,
        closing=")]",
        python=True,
        whole=True,
    ),
    Writer(
        name="lfm2",
        sglang="lfm2",
        vllm="lfm2",
        marks=("<|tool_call_start|>", "<|tool_call_end|>"),
        write=forms.lfm2,
        closing=")]<|tool_call_end|>",
        python=True,
        whole=True,
    ),
    Writer(
        name="interns1",
        sglang="interns1",
        vllm="",
        marks=("<|action_start|>", "<|plugin|>", "<|action_end|>"),
        write=forms.intern(" "),
        closing="<|action_end|>",
        reasoning=Reasoning("interns1", ""),
        whole=True,
    ),
    Writer(
        name="internlm2",
        sglang="",
        vllm="internlm",
        marks=("<|action_start|>", "<|plugin|>", "<|action_end|>"),
        write=forms.intern(""),
        closing="<|action_end|>",
    ),
)
