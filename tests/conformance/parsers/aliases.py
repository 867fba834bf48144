"""Other names that the peers give to parsers of the same formats: each is tried on a few texts."""

from collections.abc import Iterator

import msgspec

from tests.conformance.parsers.writers import WRITERS, Reasoning, Writer

_CALLS = (
    ("qwen", "qwen25", "qwen", ""),
    ("trinity", "qwen25", "trinity", ""),
    ("qwen3_json", "qwen25", "", "qwen3_json"),
    ("llama4_json", "llama3", "", "llama4_json"),
    ("glm", "glm45", "glm", ""),
    ("ling3", "glm45", "ling3", "ling3"),
    ("qwen3_xml", "qwen3_coder", "", "qwen3_xml"),
    ("step3p5", "qwen3_coder", "step3p5", "step3p5"),
    ("nanbeige", "qwen3_coder", "nanbeige", ""),
    ("llama4_pythonic", "pythonic", "", "llama4_pythonic"),
)
"""Name, the writer whose format it is, and what SGLang and vLLM call it."""

_REASONING = (
    ("dots-think", Reasoning("dots", "")),
    ("nemotron-think", Reasoning("nemotron_3", "nemotron_v3")),
    ("granite-think", Reasoning("granite_thinking_parser", "granite_thinking_parser")),
    ("qwen3-thinking-think", Reasoning("qwen3-thinking", "", inside=True)),
    ("iquest-think", Reasoning("iquest_q1", "", inside=True)),
    ("gigachat35-think", Reasoning("gigachat35", "", inside=True)),
    ("step3-think", Reasoning("step3", "step3", inside=True)),
    ("mimo-think", Reasoning("mimo", "mimo")),
    ("kimi-think", Reasoning("kimi", "", "◁think▷", "◁/think▷")),
    ("apertus-think", Reasoning("apertus2509", "", "<|inner_prefix|>", "<|inner_suffix|>")),
)
"""Name, and the parsers of reasoning that run before those of `qwen25`."""

_BY_CALLS = {
    "ling3": Reasoning("ling3", "ling3"),
    "step3p5": Reasoning("step3p5", "step3p5", inside=True),
    "nanbeige": Reasoning("nanbeige", ""),
}


def aliases() -> Iterator[Writer]:
    by_name = {writer.name: writer for writer in WRITERS}
    for name, base, sglang, vllm in _CALLS:
        yield msgspec.structs.replace(
            by_name[base], name=name, sglang=sglang, vllm=vllm, reasoning=_BY_CALLS.get(name)
        )
    for name, reasoning in _REASONING:
        yield msgspec.structs.replace(
            by_name["qwen25"], name=name, vllm="hermes" if reasoning.vllm else "", reasoning=reasoning
        )
