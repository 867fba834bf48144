"""Runs vLLM's own parsers over texts, as its server does. Executed by the Python of `.venvs/vllm-parsers`."""

import logging
import os
import sys
from pathlib import Path

os.environ.setdefault("VLLM_LOGGING_LEVEL", "CRITICAL")
os.environ.setdefault("TIKTOKEN_ENCODINGS_BASE", str(Path(sys.prefix)))
logging.disable(logging.CRITICAL)

from pieces import increments, run_all, tokens  # noqa: E402
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest  # noqa: E402
from vllm.parser.parser_manager import ParserManager  # noqa: E402

FORMATS = (
    "hermes",
    "llama3_json",
    "mistral",
    "deepseek_v3",
    "deepseek_v31",
    "deepseek_v32",
    "deepseek_v4",
    "kimi_k2",
    "glm45",
    "glm47",
    "qwen3_coder",
    "minimax_m2",
    "pythonic",
    "lfm2",
    "internlm",
)


class Tokenizer:
    """One token for each special string, and one for each other character. None is flagged as special: vLLM's
    engine drops the flagged ones that it has no use for, and the models' own flags are not known here."""

    def __init__(self, specials):
        self.all_special_tokens = []
        self.all_special_ids = []
        self._names = list(specials)
        self._vocab = {special: number for number, special in enumerate(specials)}

    def get_vocab(self):
        return dict(self._vocab)

    def encode(self, text, add_special_tokens=False):
        return [self.number(token) for token in tokens(text, self._vocab)]

    def decode(self, numbers, skip_special_tokens=False):
        first = len(self._vocab)
        names = self._names
        return "".join(names[number] if number < first else chr(number - first) for number in numbers)

    def number(self, token):
        return self._vocab[token] if token in self._vocab else len(self._vocab) + ord(token)


class HarmonyTokenizer:
    """Harmony's own tokens: its parser reads nothing else."""

    def __init__(self):
        from vllm.entrypoints.openai.parser.harmony_utils import get_encoding

        self._encoding = get_encoding()
        self.all_special_tokens = []
        self.all_special_ids = []

    def get_vocab(self):
        return {}

    def encode(self, text, add_special_tokens=False):
        return self._encoding.encode(text, allowed_special="all")

    def decode(self, numbers, skip_special_tokens=False):
        return self._encoding.decode(numbers)


def run(job, outcome):
    harmony = job["parser"] == "openai"
    tokenizer = HarmonyTokenizer() if harmony else Tokenizer(job["specials"])
    made = ParserManager.get_parser(
        tool_parser_name=job["parser"] or None,
        reasoning_parser_name=job["reasoning"] or None,
        enable_auto_tools=bool(job["parser"]),
        is_harmony=harmony,
    )
    request = ChatCompletionRequest(
        messages=[{"role": "user", "content": "go"}], model="m", tools=job["tools"] or None
    )
    thinking = {"thinking": True, "enable_thinking": True} if job["reasoning"] else {}
    parser = made(tokenizer, request.tools, chat_template_kwargs=thinking)
    request = parser.adjust_request(request)
    if job["mode"] == "whole":
        whole(job["text"], tokenizer, parser, request, outcome)
    else:
        stream(job, tokenizer, parser, request, outcome)


def whole(text, tokenizer, parser, request, outcome):
    thought, content, calls = parser.parse(
        text, request, enable_auto_tools=True, model_output_token_ids=tokenizer.encode(text)
    )
    outcome.reasoning, outcome.content = thought or "", content or ""
    for ordinal, call in enumerate(calls or []):
        outcome.delta(len(text), ordinal, call.name, call.arguments)


def stream(job, tokenizer, parser, request, outcome):
    fed = 0
    cut = batches(job, tokenizer)
    for number, (text, numbers) in enumerate(cut, 1):
        fed += len(text)
        last = number == len(cut)
        delta = parser.parse_delta(text, numbers, request, prompt_token_ids=[], finished=last)
        if delta is None:
            continue
        outcome.reasoning += delta.reasoning or ""
        outcome.content += delta.content or ""
        for call in delta.tool_calls or []:
            function = call.function
            outcome.delta(fed, call.index, function and function.name, function and function.arguments)


def batches(job, tokenizer):
    """The increments: their text and their token ids."""
    if isinstance(tokenizer, HarmonyTokenizer):
        numbers = tokenizer.encode(job["text"])
        size = int(job["mode"].split(":")[1])
        groups = [numbers[at : at + size] for at in range(0, len(numbers), size)]
        return [(tokenizer.decode(group), group) for group in groups]
    cut = increments(job["text"], job["specials"], job["mode"])
    return [("".join(group), [tokenizer.number(token) for token in group]) for group in cut]


if __name__ == "__main__":
    if sys.argv[1:] == ["--first-import"]:
        for name in FORMATS:
            ParserManager.get_tool_parser(name, enable_auto_tools=True)
        HarmonyTokenizer()
    else:
        run_all(run)
