"""Reads as much of a Dockerfile as this one uses; anything else is an error, so that no step is passed over."""

import json
import re
from pathlib import Path

import msgspec

KNOWN = frozenset(
    {
        *("FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE"),
        *("STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"),
    }
)


class Step(msgspec.Struct, frozen=True):
    """An instruction and what follows it, on one line."""

    word: str
    rest: str


class Stage(msgspec.Struct, frozen=True):
    base: str
    steps: tuple[Step, ...]

    def all(self, word: str) -> list[str]:
        return [step.rest for step in self.steps if step.word == word]

    def one(self, word: str) -> str:
        (rest,) = self.all(word)
        return rest

    def command(self, word: str) -> list[str]:
        """In the form that no shell stands between: the process gets the signals itself."""
        words: list[str] = json.loads(self.one(word))
        return words


def read_stages(path: Path) -> list[Stage]:
    """Raises `ValueError` at an instruction that is not known here."""
    stages: list[tuple[str, list[Step]]] = []
    for step in _steps(path.read_text(encoding="utf-8")):
        if step.word not in KNOWN:
            raise ValueError(f"{step.word}: not read by this test")
        if step.word == "FROM":
            stages.append((step.rest.split()[0], []))
        else:
            stages[-1][1].append(step)
    return [Stage(base, tuple(steps)) for base, steps in stages]


def _steps(text: str) -> list[Step]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Step(*line.split(maxsplit=1)) for line in joined.splitlines()]


def admitted(ignored: str, path: str) -> bool:
    """Whether a `.dockerignore` that excludes all but what it names lets in this path at the context's top."""
    patterns = [line for line in ignored.splitlines() if line and not line.startswith("#")]
    return patterns[0] == "*" and f"!{path}" in patterns
