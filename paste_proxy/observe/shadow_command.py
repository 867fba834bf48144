"""`paste-proxy shadow-report`: asks a running proxy what running ahead would have saved."""

import http.client
import urllib.error
import urllib.request

import click
import msgspec

from paste_proxy.errors import ConfigError
from paste_proxy.observe.shadow import ShadowReport, report_lines

TIMEOUT_S = 10.0
"""The report is sums: a proxy that does not answer by then is stuck or elsewhere."""


@click.command("shadow-report", short_help="What running ahead would have saved.")
@click.option(
    "--url",
    default="http://127.0.0.1:8700",
    show_default=True,
    help="Where the proxy listens, with or without /v1",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures alone, as /paste/v1/shadow has them")
def shadow_report_command(url: str, as_json: bool) -> None:
    """What running ahead would have saved, seen by a proxy with `speculation.mode: shadow`."""
    url = url.rstrip("/").removesuffix("/v1")  # agents are given it with /v1
    body = _fetched(f"{url}/paste/v1/shadow")
    try:
        report = msgspec.json.decode(body, type=ShadowReport)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{url}: no paste-proxy, or one of another version: {error}", param="url") from error
    click.echo(body.decode() if as_json else "\n".join(report_lines(report, url)))


def _fetched(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as reply:
            return bytes(reply.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        advice = "say with --url where the proxy listens, as in http://127.0.0.1:8700"
        raise ConfigError(f"{address} can't be read: {reason}; {advice}", param="url") from error
