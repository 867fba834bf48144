"""`paste-proxy lab calibrate`."""

import asyncio
from pathlib import Path

import click
import msgspec
import yaml

from paste_proxy.lab.calibrate import calibrate


@click.command("calibrate")
@click.option("--backend", required=True, metavar="URL", help="The LLM server, without /v1.")
@click.option("--model", default="", help="The model's name in requests; else the first that it lists.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Else standard output.")
def calibrate_command(*, backend: str, model: str, output: Path | None) -> None:
    """Fit an engine model to a live server, for `paste-proxy lab run --engine FILE`.

    Sends some hundred short requests; a server that serves others meanwhile looks slower than it is.
    """
    spec = msgspec.to_builtins(asyncio.run(calibrate(backend, model)))
    text = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
