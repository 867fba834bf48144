"""What a parser made of a text, in a form that can be compared, and how the peers are asked for it."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from tests.conformance.parsers.corpus import TOOLS, Case

PEERS = Path(__file__).parent / "peers"
MODES = {
    "sglang": ("whole", "tokens:1", "tokens:4", "chars:1", "chars:4"),
    "vllm": ("whole", "tokens:1", "tokens:4"),
}
"""How each peer gets a text. vLLM reads token ids, of which an increment never holds a part."""

AT_ONCE = "tokens:100000"
AT_ONCE_CASES = ("one", "two", "three_alike", "no_arguments_then_one", "text_before")
"""Also given as one increment, as speculative decoding and relays that merge chunks do."""

NO_JSON = "no JSON"


class Outcome(msgspec.Struct, frozen=True):
    """Calls as (name, canonical arguments), and the text beside them up to white space."""

    calls: tuple[tuple[str, str], ...]
    content: str
    reasoning: str = ""
    error: str = ""


class Step(msgspec.Struct, frozen=True, array_like=True):
    """A delta of a call: after so many characters of the text."""

    fed: int
    call: int
    name: str
    arguments: str


class Told(msgspec.Struct, frozen=True):
    """What a runner says of one job (`peers/pieces.py`)."""

    calls: list[tuple[str, str]]
    content: str
    reasoning: str
    error: str
    steps: list[Step]

    def outcome(self, case: Case) -> Outcome:
        """Of a text that was cut, only whole calls and no text: how much is told of the rest is open."""
        calls = tuple((name, canonical(arguments)) for name, arguments in self.calls)
        if case.content is None:
            calls = tuple(call for call in calls if not call[1].startswith(NO_JSON))
        content = "" if case.content is None else plain(self.content)
        return Outcome(calls, content, plain(self.reasoning) if case.reasoning else "", self.error)


def canonical(arguments: str) -> str:
    """Equal for equal JSON values; what is no JSON is said to be none. No text at all means no arguments."""
    try:
        value = json.loads(arguments or "{}", object_pairs_hook=_unique)
    except ValueError as error:
        return f"{NO_JSON} ({error}): {arguments}"
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("duplicate keys")
    return dict(pairs)


def plain(text: str) -> str:
    """Any white space as one blank, none at the ends."""
    return " ".join(text.split())


def expected(case: Case) -> Outcome:
    calls = tuple((name, canonical(arguments)) for name, arguments in case.calls)
    return Outcome(calls, plain(case.content or ""), plain(case.reasoning))


Answers: TypeAlias = dict[tuple[str, str], Told]
"""By a case's key and a mode."""


def ask(peer: str, python: Path, cases: Iterable[Case]) -> Answers:
    """What `peer` makes of each case in each mode, asked in one process."""
    jobs = every_job(peer, cases)
    command = [str(python), str(PEERS / f"run_{peer}.py")]
    asked = json.dumps([_job(peer, case, mode) for case, mode in jobs])
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{peer}: code {done.returncode}: {done.stderr[-2000:]}")
    told = msgspec.json.decode(done.stdout.splitlines()[-1], type=list[Told])
    return {(case.key, mode): one for (case, mode), one in zip(jobs, told, strict=True)}


def _job(peer: str, case: Case, mode: str) -> dict[str, Any]:
    calls, reasoning = parsers(peer, case)
    return {
        "parser": calls,
        "reasoning": reasoning,
        "tools": TOOLS,
        "text": case.text,
        "specials": list(case.writer.specials),
        "mode": mode,
    }


def parsers(peer: str, case: Case) -> tuple[str, str]:
    """What `peer` calls its parsers of calls and, where there is any, of reasoning."""
    writer = case.writer
    thinking = writer.reasoning if case.reasoning else None
    if peer == "sglang":
        return writer.sglang, thinking.sglang if thinking else ""
    return writer.vllm, thinking.vllm if thinking else ""


def every_job(peer: str, cases: Iterable[Case]) -> list[tuple[Case, str]]:
    """Each case in each mode."""
    jobs: list[tuple[Case, str]] = []
    for case in cases:
        if not parsers(peer, case)[0]:
            continue
        modes = MODES[peer] + ((AT_ONCE,) if case.name in AT_ONCE_CASES else ())
        jobs.extend((case, mode) for mode in modes)
    return jobs
