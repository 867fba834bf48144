"""`paste-proxy patterns`: what was learnt, as a file that people can read and pass on, or without a tenant."""

from pathlib import Path

import click
import msgspec

from paste_proxy.errors import ConfigError, UnavailableError
from paste_proxy.predict.ledger import SavedGroup
from paste_proxy.predict.tables import Tables
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


@click.group(short_help="Show, pass on or forget what was learnt.")
def patterns() -> None:
    """Show what was learnt to people, or take over what others have learnt."""


@patterns.command("export")
@STORE
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; one that is there is overwritten.",
)
def export_command(*, store: Path, output: Path) -> None:
    """Write shapes and counts as JSON.

    Constants and words of commands stay with their tenant: these are fewer patterns than `mine` wrote. The
    store is only read; a proxy may be using it.
    """
    if not store.exists():
        raise ConfigError(f"{store} is not there", param="store")
    opened = PatternStore(str(store), copy=True)
    try:
        groups = opened.load().exported()
    finally:
        opened.close()
    text = msgspec.json.format(msgspec.json.encode(Exported(FORMAT, groups)), indent=1)
    try:
        output.write_bytes(text + b"\n")
    except OSError as error:
        raise ConfigError(f"{output} can't be written: {error.strerror}", param="output") from error
    click.echo(f"wrote {output}: {sum(len(group.labels) for group in groups)} patterns")


@patterns.command("forget")
@STORE
@click.option("--tenant", required=True, metavar="NAME", help="Whose table is to go.")
def forget_command(*, store: Path, tenant: str) -> None:
    """Remove what one tenant's sessions taught: its counts, constants and words.

    Shapes that an export would show may have become everybody's, and stay."""
    if not store.exists():
        raise ConfigError(f"{store} is not there", param="store")
    opened = PatternStore(str(store))
    try:
        if opened.in_use:
            raise UnavailableError(
                f"{store} is a running proxy's, which would write it again: stop that", param="store"
            )
        tables = opened.load()
        known = ", ".join(sorted(tables.tenants)) or "none"
        if not tables.forget(tenant):
            raise ConfigError(f"{store} holds nothing of a tenant {tenant!r}; known: {known}", param="tenant")
        opened.save_all(tables)
    finally:
        opened.close()
    click.echo(f"{store}: nothing of {tenant} is left")


@patterns.command("import")
@click.argument("exported", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@STORE
def import_command(*, exported: Path, store: Path) -> None:
    """Begin a new store with what another one exported: every tenant begins with it."""
    if store.exists():
        raise ConfigError(f"{store} is there already: name another file, or move it away", param="store")
    try:
        read = msgspec.json.decode(exported.read_bytes(), type=Exported)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ConfigError(f"{exported} is no export of patterns: {error}", param="FILE") from error
    if read.paste_proxy_patterns != FORMAT:
        reason = f"is of format {read.paste_proxy_patterns}; known: {FORMAT}"
        raise ConfigError(f"{exported} {reason}", param="FILE")
    tables = Tables()
    try:
        tables.add(read.groups)
    except TypeError as error:
        raise ConfigError(f"{exported} is no export of patterns: {error}", param="FILE") from error
    opened = PatternStore(str(store))
    try:
        wrote = opened.save_all(tables)
    finally:
        opened.close()
    click.echo(f"wrote {store}: {wrote} patterns")
