"""What reading replies costs: per chunk of a stream, per piece of a growing argument, per byte of raw text.

`python -m benchmarks.grammar [--json]`, below three minutes; without `--json` a table. The parsers beside ours
need `pip install -e '.[bench]'`, and SGLang's what `tests/conformance/install_sglang.py` installs.

`us_per_content_chunk`: microseconds from the sink's `take` to the core, for one ordinary content chunk of a
chat stream as SGLang sends it where tools are offered: framing, decoding, events, and the handle of a turn
that a real core has admitted; less what an empty sink costs. What a turn costs once, at its beginning and at
its end, is not in it. `us_per_part` takes it apart, `us_per_chunk` is the same for other chunks, APIs and
opt-ins.

`reparse_ratio`: an argument object of so many bytes arrives in pieces of 4 or of 16 characters. How many times
as long as we take to tell every event of it, `partial-json-parser` takes to parse all of it so far at each
piece, as SGLang's detectors do: the least of two shapes, the text of a file and many small edits.
`jiter_ratio`: the same with jiter's partial mode. `sglang_ratio`: SGLang's detector of `qwen25` on the whole
call, against our reader of the same text.

`ns_per_byte`: nanoseconds per byte of framing, of JSON, and of raw text in every format (see `grammar_texts`).

All is timed in one process, SGLang's detectors in one of their own, each cell in turn with the others after a
first run that does not count. Figures are medians, `fastest` has the least of each, and `noise` is what lies
between the two in `us_per_chunk`, as a ratio: 1.1 on an idle machine, 2 where others keep its cores busy.
`estimated` names the sizes at which parsing anew is not done as often as it would have to be (see
`grammar_arguments`).
"""

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from benchmarks import grammar_arguments, grammar_chunks, grammar_detectors, grammar_texts
from benchmarks.grammar_timing import Figure
from paste_proxy.lab.sglang_server import INSTALL_COMMAND, find_install


def measure() -> dict[str, Any]:
    """Trees of figures, named as in the module's docstring."""
    tree: dict[str, Any] = asyncio.run(grammar_chunks.measure())
    tree |= grammar_arguments.measure()
    tree |= grammar_texts.measure()
    install = find_install()
    if install is None:
        print(
            f"no SGLang is installed, so its detectors are left out; to install it: {INSTALL_COMMAND}",
            file=sys.stderr,
        )
    else:
        tree |= grammar_detectors.measure(install)
    return tree


def rounded(tree: Any, of: Callable[[Figure], float]) -> Any:
    """Plain numbers, to three digits."""
    if isinstance(tree, Figure):
        return float(f"{of(tree):.3g}")
    return {name: rounded(branch, of) for name, branch in tree.items()}


def figures(tree: Any) -> Iterator[Figure]:
    if isinstance(tree, Figure):
        yield tree
    else:
        for branch in tree.values():
            yield from figures(branch)


def report(tree: dict[str, Any]) -> dict[str, Any]:
    medians: dict[str, Any] = rounded(tree, lambda figure: figure.median)
    return medians | {
        "estimated": [size for size, lengths in grammar_arguments.LENGTHS.items() if lengths],
        "noise": round(statistics.median(figure.noise for figure in figures(tree["us_per_chunk"])), 2),
        "fastest": rounded(tree, lambda figure: figure.fastest),
    }


def lines(tree: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """A table: what has several figures side by side is one line."""
    for name, branch in tree.items():
        if not isinstance(branch, dict):
            yield f"{indent}{name:{32 - len(indent)}} {branch}"
        elif any(isinstance(one, dict) for one in branch.values()):
            yield f"{indent}{name}"
            yield from lines(branch, indent + "  ")
        else:
            values = "  ".join(f"{one} {value}" for one, value in branch.items())
            yield f"{indent}{name:{32 - len(indent)}} {values}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if missing := [name for name in grammar_arguments.PEERS if find_spec(name) is None]:
        sys.exit(f"not installed: {', '.join(missing)}; to install what is compared: pip install -e '.[bench]'")
    found = report(measure())
    if options.json:
        print(json.dumps(found))
        return
    fastest = found.pop("fastest")
    for line in lines(found):
        print(line)
    print("fastest:")
    for line in lines(
        {name: fastest[name] for name in ("us_per_content_chunk", "us_per_part", "us_per_chunk")}, "  "
    ):
        print(line)


if __name__ == "__main__":
    main()
