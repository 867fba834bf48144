"""`paste-proxy keys new`: makes a key, and what the configuration must say of it."""

import re

import click

from paste_proxy.access.keys import new_key, written_digest
from paste_proxy.config_bounds import TENANT_NAME
from paste_proxy.errors import ConfigError


@click.group()
def keys() -> None:
    """Keys with which tenants ask."""


@keys.command("new")
@click.argument("tenant", default="NAME")
def new_command(tenant: str) -> None:
    """Make a key. It is printed once and stored nowhere."""
    if re.fullmatch(TENANT_NAME, tenant) is None:
        reason = f"{tenant!r} is no tenant's name: letters, digits, `_`, `.` and `-`, at most 64"
        raise ConfigError(reason, param="tenant")
    key = new_key()
    click.echo(key)
    click.echo("The key, for the client. For the configuration:", err=True)
    click.echo(f"tenants:\n  {tenant}:\n    keys: [{written_digest(key)}]", err=True)
