"""Fuzz `paste_proxy.grammar` with atheris, which follows what the code does with each input.

    python -m tests.grammar.fuzz --seconds 60 [--target json] [--target format:hermes] [--list]

atheris is not among the project's test packages (35 MB, CPython on Linux only): `pip install atheris` into any
environment that has the project and its test packages. Without `--target` the seconds are shared out among all
targets. Each target runs in a process of its own; an input that breaks something is written to the folder that
`--findings` names.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

INPUT_LIMIT = 1500
"""Bytes of one input: enough for several calls, and small enough for hundreds of runs a second."""
HANG_S = 10
"""An input that takes longer counts as a hang: they take milliseconds."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.grammar.fuzz")
    parser.add_argument("--seconds", type=int, default=60, help="altogether")
    parser.add_argument("--target", action="append", help="one of --list; all without")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--in-process", help=argparse.SUPPRESS)
    known, rest = parser.parse_known_args()
    if known.in_process:
        return run_here(known.in_process, rest)
    from tests.grammar.fuzz.targets import TARGETS

    if known.list:
        print("\n".join(TARGETS))
        return 0
    chosen = known.target or list(TARGETS)
    share = max(1, known.seconds // len(chosen))
    return max(run_apart(name, share, known.findings) for name in chosen)


def run_apart(name: str, seconds: int, findings: Path) -> int:
    """One target for so long; says how many inputs it read. 1 if one of them broke something."""
    from tests.grammar.fuzz.seeds import seeds, words

    findings.mkdir(exist_ok=True)
    prefix = findings / f"{re.sub(r'[^a-z0-9-]', '_', name)}-"
    with tempfile.TemporaryDirectory() as folder:
        corpus, dictionary = Path(folder, "corpus"), Path(folder, "words")
        corpus.mkdir()
        for number, seed in enumerate(seeds(name)):
            (corpus / str(number)).write_bytes(seed)
        dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words(name)))
        command = [sys.executable, "-m", "tests.grammar.fuzz", "--in-process", name, str(corpus)]
        limits = [
            f"-dict={dictionary}",
            f"-max_total_time={seconds}",
            f"-timeout={HANG_S}",
            f"-max_len={INPUT_LIMIT}",
            "-len_control=0",
        ]
        done = subprocess.run(
            [*command, *limits, f"-artifact_prefix={prefix}"], capture_output=True, text=True, check=False
        )
    counted = re.search(r"Done (\d+) runs|stat::number_of_executed_units: (\d+)", done.stderr)
    runs = next(filter(None, counted.groups()), "?") if counted else "?"
    print(
        f"{name}: {runs} inputs in {seconds} s, {'nothing found' if done.returncode == 0 else 'BROKEN'}",
        flush=True,
    )
    if done.returncode:
        print(done.stderr[-3000:], file=sys.stderr)
    return 1 if done.returncode else 0


def _escaped(word: bytes) -> str:
    """As libFuzzer's dictionaries have it."""
    return "".join(f"\\x{byte:02x}" for byte in word)


def run_here(name: str, arguments: list[str]) -> int:
    """Never returns: libFuzzer ends the process."""
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=["paste_proxy.grammar"]):
        from tests.grammar.fuzz.targets import TARGETS, unpacked
    target = TARGETS[name]

    def one(data: bytes) -> None:
        target(unpacked(data))

    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
