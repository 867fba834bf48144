"""Imports point downwards only (docs/design.md, "Layout"), and importing a module does no work."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "paste_proxy"

LEAVES = {
    "buckets",
    "errors",
    "clock",
    "tasks",
    "config",
    "config_advice",
    "config_bounds",
    "config_http",
    "config_mcp",
    "config_reading",
    "config_schedule",
    "connection_words",
    "deadlines",
    "guard",
    "json_words",
}
"""Modules of the package's top that anybody may use; they use nothing of the package but each other."""

ALLOWED: dict[str, set[str]] = {
    "grammar": set(),
    "events": {"config", "grammar", "schedule", "tools", "errors"},
    "access": {*LEAVES},
    "tools": {*LEAVES},
    "backends": {*LEAVES, "grammar", "schedule"},
    "predict": set(),
    "schedule": {"tools"},
    "sessions": {"grammar", "predict", "events"},
    "broker": {*LEAVES, "events", "grammar", "predict", "schedule", "tools"},
    "store": {*LEAVES, "predict"},
    "client_tools": {*LEAVES, "tools"},
    "expecting": {"grammar", "predict", "sessions"},
    "candidates": {*LEAVES, "broker", "expecting", "grammar", "predict", "tools"},
    "chains": {*LEAVES, "broker", "candidates", "expecting", "predict", "tools"},
    "expectations": {
        *LEAVES,
        "broker",
        "candidates",
        "chains",
        "client_tools",
        "events",
        "expecting",
        "grammar",
        "predict",
        "sessions",
        "tools",
    },
    "endings": {"events", "schedule"},
    "paced": {"grammar", "schedule"},
    "pacing": {*LEAVES, "endings", "events", "grammar", "paced", "schedule", "sessions"},
    "placing": {*LEAVES, "events", "pacing", "schedule", "sessions", "tools"},
    "turn_writes": {*LEAVES, "broker", "client_tools", "grammar", "sessions", "tools"},
    "replies": {*LEAVES, "broker", "expectations", "grammar", "predict", "sessions", "tools", "turn_writes"},
    "turns": {
        *LEAVES,
        "broker",
        "client_tools",
        "events",
        "expectations",
        "grammar",
        "predict",
        "replies",
        "sessions",
        "tools",
        "turn_writes",
    },
    "warming": {*LEAVES, "broker", "events", "grammar", "pacing", "schedule", "sessions", "tools"},
    "succession": {*LEAVES, "events", "schedule"},
    "holds": {*LEAVES, "events", "schedule", "succession"},
    "assembling": {*LEAVES, "broker", "schedule", "tools"},
    "offering": {*LEAVES, "broker", "client_tools", "events", "schedule", "tools"},
    "core": {
        *LEAVES,
        "assembling",
        "broker",
        "events",
        "holds",
        "offering",
        "pacing",
        "placing",
        "predict",
        "schedule",
        "sessions",
        "succession",
        "tools",
        "turns",
        "warming",
    },
    "claims": {*LEAVES, "events"},
    "turn_handle": {"core", "events", "grammar"},
    "runtime": {*LEAVES, "turn_handle", "claims", "events", "grammar", "tools", "core"},
    "client": {*LEAVES, "tools"},
    "mcp_wrap": {*LEAVES, "client", "gateway", "tools"},
    "leases": {*LEAVES, "access", "client", "events", "runtime", "sessions", "tools"},
    "proxy": {*LEAVES, "access", "backends", "events", "grammar", "runtime", "schedule", "sessions"},
    "gateway": {*LEAVES, "access", "events", "runtime", "sessions", "tools"},
    "observe": {
        *LEAVES,
        "access",
        "events",
        "broker",
        "core",
        "holds",
        "pacing",
        "placing",
        "predict",
        "runtime",
        "sessions",
        "tools",
        "proxy",
        "warming",
    },
}
"""What each part may import of the package, beside itself. `app`, `cli`, `lab` are above everything."""

PURE = (
    "access",
    "grammar",
    "predict",
    "schedule",
    "sessions",
    "broker",
    "assembling.py",
    "core.py",
    "holds.py",
    "offering.py",
    "succession.py",
    "turns.py",
    "turn_writes.py",
    "replies.py",
    "candidates.py",
    "chains.py",
    "client_tools.py",
    "expectations.py",
    "expecting.py",
    "endings.py",
    "paced.py",
    "pacing.py",
    "placing.py",
    "warming.py",
    "events.py",
    "deadlines.py",
)
SOCKETS = {"aiohttp", "asyncio", "uvloop", "socket", "threading", "time", "mcp", "subprocess"}
CONTRACTS = {"paste_proxy.predict.model", "paste_proxy.tools.ports", "paste_proxy.tools.spec"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


def part_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def parts_imported(path: Path) -> set[str]:
    inside = {name for name in imported(path) if name.startswith("paste_proxy.")}
    return {name.split(".")[1] for name in inside} - {part_of(path)}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    part = part_of(path)
    if part in LEAVES:
        assert parts_imported(path) <= LEAVES
    elif part in ALLOWED:
        assert parts_imported(path) <= ALLOWED[part]


@pytest.mark.parametrize("pure", PURE)
def test_the_core_has_no_sockets_and_no_clock(pure: str) -> None:
    root = PACKAGE / pure
    for path in [root] if root.is_file() else sorted(root.rglob("*.py")):
        assert not {name.split(".")[0] for name in imported(path)} & SOCKETS, path


@pytest.mark.parametrize("part", ["grammar", "predict", "schedule"])
def test_the_three_know_nothing_of_each_other_but_contracts(part: str) -> None:
    for path in sorted((PACKAGE / part).rglob("*.py")):
        others = {
            name for name in imported(path) if name.startswith("paste_proxy.") and name.split(".")[1] != part
        }
        assert others <= CONTRACTS, path
