"""`paste-proxy shadow-report`: asks a running proxy what running ahead would have saved."""

import http.client
import os
import urllib.error
import urllib.request

import click
import msgspec

from paste_proxy.access.keys import from_environment
from paste_proxy.errors import ConfigError, UnavailableError
from paste_proxy.observe.shadow import ShadowReport, report_lines, why_none

TIMEOUT_S = 10.0
"""The report is sums: a proxy that does not answer by then is stuck or elsewhere."""

KEY = "PASTE_KEY"
"""Variable with a key that sees all tenants. No option: other users see the options of a process."""

WHERE = "say with --url where the proxy listens, as in http://127.0.0.1:8700"


@click.command("shadow-report", short_help="What running ahead would have saved.")
@click.option(
    "--url",
    default="http://127.0.0.1:8700",
    show_default=True,
    help="Where the proxy listens, with or without /v1",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures alone, as /paste/v1/shadow has them")
def shadow_report_command(url: str, as_json: bool) -> None:
    """What running ahead would have saved, seen by a proxy with `speculation.mode: shadow`.

    One with another mode has nothing to tell: that is said, and the exit status is 1.

    Where the proxy asks for keys, one of a tenant with `admin: true` is taken from the variable PASTE_KEY.
    """
    url = url.rstrip("/").removesuffix("/v1")  # agents are given it with /v1
    body = _fetched(f"{url}/paste/v1/shadow")
    try:
        report = msgspec.json.decode(body, type=ShadowReport)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise UnavailableError(
            f"{url}: no paste-proxy, or one of another version: {error}", param="url"
        ) from error
    none = why_none(report, url)
    if as_json or not none:
        click.echo(body.decode() if as_json else "\n".join(report_lines(report, url)))
    if none:
        raise UnavailableError(none, param="speculation.mode")


def _fetched(address: str) -> bytes:
    key = from_environment("shadow-report", f"${{{KEY}}}", os.environ) if os.environ.get(KEY) else ""
    try:
        request = urllib.request.Request(address, headers={"x-paste-key": key} if key else {})
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
            return bytes(reply.read())
    except urllib.error.HTTPError as error:
        refused = error.code in (401, 403)
        advice = f"put a key of a tenant with `admin: true` into {KEY}" if refused else "is --url right?"
        raise UnavailableError(f"{address}: {error.code} {error.reason}; {advice}", param="url") from error
    except ValueError as error:
        raise ConfigError(f"{address} is no address: {error}; {WHERE}", param="url") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UnavailableError(f"{address} can't be read: {reason}; {WHERE}", param="url") from error
