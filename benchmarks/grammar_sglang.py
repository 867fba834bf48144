"""Times SGLang's own detectors. Run by the Python of SGLang's environment, for it imports nothing of this one.

Reads jobs from standard input, as JSON: `{"tools", "jobs": [{"parser", "before", "pieces", "repeat"}]}`. Writes
for each the seconds that reading `pieces` took, `repeat` times; `before` is fed first, and is not timed.
"""

import importlib
import json
import logging
import sys
import time
from typing import Any


def seconds(parser: Any, before: list[str], pieces: list[str]) -> float:
    for piece in before:
        parser.parse_stream_chunk(piece)
    begun = time.thread_time()
    for piece in pieces:
        parser.parse_stream_chunk(piece)
    return time.thread_time() - begun


def main() -> None:
    logging.disable(logging.CRITICAL)
    protocol = importlib.import_module("sglang.srt.entrypoints.openai.protocol")
    parsers = importlib.import_module("sglang.srt.function_call.function_call_parser")
    asked = json.load(sys.stdin)
    tools = [protocol.Tool(**tool) for tool in asked["tools"]]
    times = []
    for job in asked["jobs"]:
        runs = range(job["repeat"])
        new = [parsers.FunctionCallParser(tools, job["parser"]) for _ in runs]
        times.append([seconds(parser, job["before"], job["pieces"]) for parser in new])
    json.dump(times, sys.stdout)


if __name__ == "__main__":
    main()
