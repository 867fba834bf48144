"""`paste-proxy lab live`."""

import asyncio

import click
import msgspec
import orjson

from paste_proxy.lab.live import BATCH, LiveResult, run_live
from paste_proxy.lab.workload import load_workload


@click.command("live")
@click.option("--tasks", type=click.IntRange(2, 200), default=12, show_default=True, help="Per cell.")
@click.option("--at-once", type=click.IntRange(1, 16), default=BATCH, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def live_command(*, tasks: int, at_once: int, as_json: bool) -> None:
    """Run research tasks on a real SGLang and in the lab, and say by how much the lab is off.

    Takes some four minutes on two idle cores. The engine is calibrated first; cells A, B and X follow.
    """
    result = asyncio.run(run_live(tasks, at_once))
    if as_json:
        told = msgspec.to_builtins(result) | {"same_order": result.same_order}
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    else:
        click.echo("\n".join(_lines(result, tasks, at_once)))


def _lines(result: LiveResult, tasks: int, at_once: int) -> list[str]:
    live, engine = load_workload().live, result.engine
    return [
        f"{tasks} research tasks per cell, {at_once} at once; tokens x {live.token_scale:g}, tool times x "
        f"{live.time_scale:g}; SGLang with --max-running-requests {BATCH}",
        f"engine: {engine.decode_tokens_per_s_one_request:g} tokens/s alone, "
        f"{engine.decode_slowdown_per_running_request:.0%} more time per token for each further request, "
        f"prefill {engine.prefill_tokens_per_s:g} tokens/s",
        f"beside it a turn takes {result.turn_overhead_s * 1000:.0f} ms, "
        f"a call {result.call_overhead_s * 1000:.0f} ms",
        "",
        "cell    real s     lab s    lab is off by",
        *(f"{one.cell:4}  {one.real_s:8.2f}  {one.lab_s:8.2f}  {one.off:+14.1%}" for one in result.cells),
        "",
        "same order of cells: " + ("yes" if result.same_order else "no"),
    ]
