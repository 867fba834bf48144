"""What `paste-proxy lab run` says of its rows, and of what it ran."""

import shlex
from collections.abc import Sequence

from paste_proxy.lab.virtual.capacity import capacities
from paste_proxy.lab.virtual.experiment import Plan
from paste_proxy.lab.virtual.rows import Row

_COLUMNS = (
    ("cell", "cell", "{}"),
    ("policy", "policy", "{}"),
    ("kv", "KV", "{:g}"),
    ("load", "load", "{}"),
    ("tasks", "tasks", "{}"),
    ("mean_task_s", "mean s", "{:.1f}"),
    ("ratio", "/ A", "{:.3f}"),
    ("ratio_ci95", "95 %", "{0[0]:.3f}-{0[1]:.3f}"),
    ("p10_task_s", "p10 s", "{:.1f}"),
    ("p25_task_s", "p25 s", "{:.1f}"),
    ("p95_task_s", "p95 s", "{:.1f}"),
    ("p99_task_s", "p99 s", "{:.1f}"),
    ("throughput_per_h", "tasks/h", "{:.0f}"),
    ("model_s", "model s", "{:.1f}"),
    ("exposed_tool_s", "tools s", "{:.1f}"),
    ("queue_s", "queue s", "{:.1f}"),
    ("longest_wait_s", "longest", "{:.0f}"),
    ("held_s", "held s", "{:.1f}"),
    ("unused_per_used", "unused/used", "{:.2f}"),
    ("prefix_hits", "prefix hits", "{:.2f}"),
    ("ttft_chat_p99_s", "chat p99 s", "{:.2f}"),
    ("slower_share", "slower", "{:.2f}"),
)


def facts(plan: Plan) -> list[str]:
    """What was run, for the page."""
    arrivals = {
        "closed": "each place of the load with its next task as soon as one is over",
        "poisson": "tasks that arrive at random, so many that alone they would keep the load busy",
        "cohort": "as many tasks as the load begin at once, and so many again when all are over",
    }
    engines = "one engine" if plan.engines == 1 else f"{plan.engines} engines"
    spec = plan.engine
    return [
        f"{plan.tasks} tasks per cell and load, seed {plan.seed}; {arrivals[plan.arrivals]}.",
        f"Modelled: {engines} ({spec.kv_tokens:,} KV tokens, {spec.max_running_requests} requests at a time,"
        f" {spec.policy}) and all tools. The core is the production one.",
        f"The engine's numbers: {spec.source}.",
    ]


def command(
    workload: str,
    engine: str,
    plan: Plan,
    kvs: Sequence[float],
    loads: Sequence[int],
    cells: Sequence[str],
) -> str:
    """What gives the same numbers again."""
    options = {
        "workload": workload,
        "engine": engine,
        "engines": plan.engines,
        "kv": ",".join(f"{kv:g}" for kv in kvs),
        "load": ",".join(map(str, loads)),
        "arrivals": plan.arrivals,
        "cells": ",".join(cells),
        "policy": plan.policy,
        "tasks": plan.tasks,
        "tenants": ",".join(f"{tenant.name}:{tenant.weight}" for tenant in plan.tenants),
        "chat": f"{plan.chat_per_s:g}",
        "tool-rate": f"{plan.tools_per_s:g}",
        "tool-failures": f"{plan.tool_failures:g}",
        "seed": plan.seed,
    }
    if plan.session_tags != "off":
        options["session-tags"] = plan.session_tags
    written = (f"--{name} {_quoted(str(value))}" for name, value in options.items())
    return " ".join(["paste-proxy lab run", *written, *(["--warm-up"] if plan.warm_up else [])])


def _quoted(text: str) -> str:
    """For a shell; cells as people write them, with A' in double quotes and O∞ as on any keyboard."""
    text = text.replace("O∞", "Oinf")
    plain = "'" in text and not set(text) & set('"$`\\!')
    return f'"{text}"' if plain else shlex.quote(text)


def table(rows: Sequence[Row]) -> list[str]:
    """The rows for people, in columns; those that no row has a value for are left out, and the memory
    where it is one and the same."""
    columns = [column for column in _COLUMNS if any(getattr(row, column[0]) is not None for row in rows)]
    if len({row.kv for row in rows}) == 1:
        columns = [column for column in columns if column[0] != "kv"]
    lines = [[title for _, title, _ in columns]]
    for row in rows:
        values = [(getattr(row, key), form) for key, _, form in columns]
        lines.append(["-" if value is None else form.format(value) for value, form in values])
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]


def capacity_lines(rows: Sequence[Row]) -> list[str]:
    """A line for each memory, where cells were run at several loads and A at load 1."""
    found = capacities(rows)
    lines = []
    for kv, limit_s in dict.fromkeys((one.kv, one.limit_s) for one in found):
        each = (f"{one.cell} {one.tasks_per_h:.0f}{' or more' * one.at_least}" for one in found if one.kv == kv)
        lines.append(f"tasks/h with p95 <= {limit_s:.0f} s, KV x {kv:g}: {', '.join(each)}")
    return lines


def tenant_lines(rows: Sequence[Row]) -> list[str]:
    """A line for each tenant in each row, where there are several."""
    return [
        f"{row.cell}, load {row.load}, KV x {row.kv:g}, {name}: {one.tasks_per_h:.0f} tasks/h,"
        f" {one.of_fair:.2f} of its fair {one.fair_per_h:.0f}; {one.engine_share:.0%} of the engine"
        + (f"; mean {one.mean_task_s:.1f} s" if one.mean_task_s is not None else "")
        for row in rows
        for name, one in (row.tenants or {}).items()
    ]
