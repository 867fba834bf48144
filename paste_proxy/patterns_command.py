"""`paste-proxy patterns export` and `import`: what was learnt, as a file that people can read and pass on."""

from pathlib import Path

import click
import msgspec

from paste_proxy.errors import ConfigError
from paste_proxy.predict.ledger import Changes, Ledger, SavedGroup
from paste_proxy.predict.privacy import exportable, savable
from paste_proxy.store.patterns import PatternStore

FORMAT = 1


class Exported(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One JSON object. Of each group: its section, its key, and its labels with their numbers."""

    paste_proxy_patterns: int
    groups: list[SavedGroup]


STORE = click.option(
    "--store",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A pattern store, as store.path names it.",
)


@click.group()
def patterns() -> None:
    """Show what was learnt to people, or take over what others have learnt."""


@patterns.command("export")
@STORE
@click.option("-o", "--output", required=True, metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
def export_command(*, store: Path, output: Path) -> None:
    """Write shapes and counts as JSON. Constants and words of commands stay with their tenant."""
    if not store.exists():
        raise ConfigError(f"{store} is not there", param="store")
    opened = PatternStore(str(store))
    try:
        groups = exportable(opened.load())
    finally:
        opened.close()
    text = msgspec.json.format(msgspec.json.encode(Exported(FORMAT, groups)), indent=1)
    try:
        output.write_bytes(text + b"\n")
    except OSError as error:
        raise ConfigError(f"{output} can't be written: {error.strerror}", param="output") from error
    click.echo(f"wrote {output}: {sum(len(group.labels) for group in groups)} patterns")


@patterns.command("import")
@click.argument("exported", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@STORE
def import_command(*, exported: Path, store: Path) -> None:
    """Begin a new store with what another one exported: what is learnt is added to it."""
    if store.exists():
        raise ConfigError(f"{store} is there already: name another file, or move it away", param="store")
    try:
        read = msgspec.json.decode(exported.read_bytes(), type=Exported)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{exported} is no export of patterns: {error}", param="FILE") from error
    if read.paste_proxy_patterns != FORMAT:
        reason = f"is of format {read.paste_proxy_patterns}; known: {FORMAT}"
        raise ConfigError(f"{exported} {reason}", param="FILE")
    ledger = Ledger()
    try:
        ledger.load(read.groups)
    except TypeError as error:
        raise ConfigError(f"{exported} is no export of patterns: {error}", param="FILE") from error
    ledger.put_back(Changes(tuple(read.groups)))
    opened = PatternStore(str(store))
    try:
        opened.save(ledger.take_changes(savable))
    finally:
        opened.close()
    click.echo(f"wrote {store}: {len(ledger)} patterns")
