"""Runs SGLang's own parsers over texts, as its server does. Executed by the Python of `.venvs/sglang`."""

import json
import logging

from pieces import increments, run_all
from sglang.srt.entrypoints.openai.protocol import Tool
from sglang.srt.function_call.function_call_parser import FunctionCallParser
from sglang.srt.parser.reasoning_parser import ReasoningParser

logging.disable(logging.CRITICAL)


def run(job, outcome):
    tools = [Tool(**tool) for tool in job["tools"]]
    calls = FunctionCallParser(tools, job["parser"]) if job["parser"] else None
    reasoning = ReasoningParser(job["reasoning"], stream_reasoning=True) if job["reasoning"] else None
    if job["mode"] == "whole":
        whole(job["text"], calls, reasoning, outcome)
    else:
        stream(job, calls, reasoning, outcome)


def whole(text, calls, reasoning, outcome):
    if reasoning:
        thought, text = reasoning.parse_non_stream(text)
        outcome.reasoning = thought or ""
        text = text or ""
    found = []
    if calls:
        text, found = calls.parse_non_stream(text) if calls.has_tool_call(text) else (text, [])
    outcome.content = text or ""
    for ordinal, call in enumerate(found):
        outcome.delta(len(text), ordinal, call.name, call.parameters)


def stream(job, calls, reasoning, outcome):
    fed = 0
    cut = increments(job["text"], job["specials"], job["mode"])
    for number, increment in enumerate(cut, 1):
        text = "".join(increment)
        fed += len(text)
        last = number == len(cut)
        if reasoning:
            thought, rest = reasoning.parse_stream_chunk(text)
            if last:
                more_thought, more = reasoning.parse_stream_end()
                thought, rest = (thought or "") + (more_thought or ""), (rest or "") + (more or "")
            outcome.reasoning += thought or ""
            text = rest or ""
        if not calls:
            outcome.content += text
            continue
        read(calls, text, last, fed, outcome)


def read(calls, text, last, fed, outcome):
    content, found = calls.parse_stream_chunk(text)
    if last:
        more, more_calls = calls.parse_stream_end()
        content, found = (content or "") + (more or ""), [*found, *more_calls]
    outcome.content += content or ""
    for call in found:
        outcome.delta(fed, call.tool_index, call.name, call.parameters)
    if last:
        remaining(calls.detector, fed, outcome)


def remaining(detector, fed, outcome):
    """The server's last chunk: arguments of the last call that the detector read and never told."""
    known = getattr(detector, "prev_tool_call_arr", None) or []
    told = getattr(detector, "streamed_args_for_tool", None) or []
    index = len(known) - 1
    if index < 0 or index >= len(told):
        return
    arguments = known[index].get("arguments", {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    if text.startswith(told[index]) and len(text) > len(told[index]):
        outcome.delta(fed, index, "", text[len(told[index]) :])


if __name__ == "__main__":
    run_all(run)
