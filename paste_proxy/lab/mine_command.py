"""`paste-proxy mine`: what recorded sessions teach, in a store that the proxy starts with."""

import json
from collections import Counter
from pathlib import Path

import click

from paste_proxy.errors import ConfigError
from paste_proxy.lab.prediction.influence import Influence
from paste_proxy.lab.prediction.lessons import teach
from paste_proxy.lab.prediction.sessions import Session, read_sessions, trace_files
from paste_proxy.predict.tables import Tables
from paste_proxy.predict.tenants import TenantPredictor
from paste_proxy.store.patterns import PatternStore

TOOLS = 8
"""Named in the report, the most called first."""


@click.command(short_help="Learn from recorded sessions into a store for the proxy.")
@click.argument("traces", type=click.Path(path_type=Path, exists=True))
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The store to write, for store.path.",
)
def mine(*, traces: Path, output: Path) -> None:
    """Learn from recorded sessions, a folder's *.jsonl.gz or one file, into a store for the proxy.

    What it would have learnt had they passed through it: patterns without any value of a session. Suggests
    arguments that seem to have no influence on results.
    """
    _check(output)
    files = trace_files(traces)
    sessions = {name: read_sessions(path, ()) for name, path in files.items()}
    tables = Tables()
    predictor = TenantPredictor(tables)
    influence = Influence()
    for name, several in sessions.items():
        for session in several:
            teach(predictor, session)
            influence.see(session)
        click.echo(_learnt(name, several))
    store = PatternStore(str(output))
    try:
        wrote = store.save_all(tables)
    finally:
        store.close()
    click.echo(f"wrote {output}: {wrote} patterns")
    for line in suggestions(influence):
        click.echo(line)


def _check(output: Path) -> None:
    """What would fail after minutes is said before them. Raises `ConfigError`."""
    if output.exists():
        raise ConfigError(f"{output} is there already: name another file, or move it away", param="output")
    if not output.parent.is_dir():
        raise ConfigError(
            f"{output} can't be written: {output.parent} is no folder: make it, or name another file with -o",
            param="output",
        )


def _learnt(name: str, sessions: list[Session]) -> str:
    called = Counter(one.call.tool for session in sessions for turn in session.turns for one in turn.calls)
    tools = ", ".join(f"{tool} {count}" for tool, count in called.most_common(TOOLS))
    more = f" and {len(called) - TOOLS} more" if len(called) > TOOLS else ""
    turns = sum(len(session.turns) for session in sessions)
    return f"{name}: {len(sessions)} sessions, {turns} turns, {called.total()} calls: {tools}{more}"


def suggestions(influence: Influence) -> list[str]:
    """Lines for the configuration, to be checked by whoever knows the tools."""
    evidence, lines = influence.evidence, [""]
    inert = influence.inert()
    if inert:
        lines += [
            "# These arguments seem to have no influence on results. If so, calls are the same without them.",
            "# Behind them: in how many pairs of calls that differ in nothing else the results are equal.",
            "speculation:",
            "  inert:",
        ]
    for tool, names in inert.items():
        named = ", ".join(map(json.dumps, names))
        pairs = ", ".join(str(evidence[tool, name]) for name in names)
        lines.append(f"    {json.dumps(tool)}: [{named}]  # {pairs}")
    undecided = [f"{tool}.{name} ({evidence[tool, name]})" for tool, name in influence.undecided()]
    if undecided:
        lines.append("# Called like a rationale, but calls say too little: " + ", ".join(undecided))
    return lines if len(lines) > 1 else []
