"""docker-compose.yml with its variables filled in: from `.env.example`, and keys that somebody has made."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ("gpu", "cpu")
KEYS = {"PASTE_AGENTS_KEY": "pp-" + "a" * 43, "PASTE_METRICS_KEY": "pp-" + "m" * 43}

VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")
"""`${NAME}`, with a default (`:-`) or what to say where there is none (`:?`)."""


def text() -> str:
    return (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


def example() -> dict[str, str]:
    """What `.env.example` says."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def filled(variables: Mapping[str, str]) -> str:
    """As Compose fills in what is not `$$`."""

    def value(found: re.Match[str]) -> str:
        return variables.get(found[1], "") or (found[3] if found[2] == "-" else "")

    return VARIABLE.sub(value, text())


def services(variables: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(filled(variables))["services"]
    return found


def sglang_command() -> list[str]:
    """The arguments that SGLang gets where `.env` is as the example."""
    command: str = services(example())["sglang"]["command"]
    return command.split()
