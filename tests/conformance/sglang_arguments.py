"""Run with the engine's own Python: reads commands, a JSON list a line, as SGLang would; says what is wrong."""

import argparse
import json
import sys

from sglang.srt.server_args import ServerArgs


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise SystemExit(message)


if __name__ == "__main__":
    parser = Parser(allow_abbrev=False)
    ServerArgs.add_cli_args(parser)
    for line in sys.stdin:
        parser.parse_args(json.loads(line))
