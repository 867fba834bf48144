"""How the runners here cut a text, and what they say of a reply. Runs in the environments of the peers too.

A job is `{"parser", "reasoning", "tools", "text", "specials", "mode"}`. `specials` are the strings that are one
token each for the models of this format. A mode is `whole` (not streamed), `chars:N` or `tokens:N`: streamed
with N characters or N tokens an increment, where a special string is one token and any other character is one.
"""

import json
import re
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any

PATIENCE_S = 1.0
"""Of the processor's time, for one text: most take a hundredth. Some would take minutes."""


class _NoAnswerError(BaseException):
    """It took too long. No `Exception`, since parsers swallow those."""


def tokens(text: str, specials: Iterable[str]) -> list[str]:
    """`text` in tokens."""
    longest_first = sorted(specials, key=len, reverse=True)
    if not longest_first:
        return list(text)
    return re.findall(f"{'|'.join(map(re.escape, longest_first))}|.", text, re.DOTALL)


def increments(text: str, specials: Iterable[str], mode: str) -> list[list[str]]:
    """The increments of `text` as lists of tokens. `chars` cuts special strings too."""
    if mode == "whole":
        return [[text]]
    unit, size = mode.split(":")
    pieces = tokens(text, specials if unit == "tokens" else ())
    return [pieces[at : at + int(size)] for at in range(0, len(pieces), int(size))]


class Outcome:
    """What one reply came to: calls as a client puts them together, text, and when a delta of a call came."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.content = ""
        self.reasoning = ""
        self.error = ""
        self.steps: list[tuple[int, int, str, str]] = []
        self._at: dict[int, int] = {}

    def delta(self, fed: int, index: int, name: str | None, arguments: str | None) -> None:
        """A delta of the call `index`, after `fed` characters. Another name on an index begins a call."""
        if name or index not in self._at:
            self._at[index] = len(self.calls)
            self.calls.append([name or "", ""])
        call = self._at[index]
        self.calls[call][1] += arguments or ""
        self.steps.append((fed, call, name or "", arguments or ""))

    def told(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "content": self.content,
            "reasoning": self.reasoning,
            "error": self.error,
            "steps": self.steps,
        }


def run_all(run: Callable[[dict[str, Any], Outcome], None]) -> None:
    """Reads the jobs from standard input, and writes what `run(job, outcome)` says of each."""
    signal.signal(signal.SIGVTALRM, _give_up)
    outcomes = []
    for job in json.load(sys.stdin):
        outcome = Outcome()
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE_S)
            run(job, outcome)
        except (Exception, _NoAnswerError) as error:  # noqa: BLE001 - what a peer raises is its answer
            outcome.error = f"{type(error).__name__}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        outcomes.append(outcome.told())
    json.dump(outcomes, sys.stdout)


def _give_up(*_: object) -> None:
    raise _NoAnswerError(f"no answer in {PATIENCE_S} s")
