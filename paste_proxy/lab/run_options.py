"""What the options of `paste-proxy lab run` and `lab schedule` take: lists, and numbers that are numbers."""

import math
from typing import cast

import click

from paste_proxy.lab.virtual.experiment import CELLS, CellName
from paste_proxy.lab.virtual.tenants import Tenant, tenants_in
from paste_proxy.schedule.policies import NAMED, is_policy


def numbers(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    if value is None:
        return ()
    try:
        loads = tuple(int(part) for part in value.split(","))
    except ValueError:
        loads = (0,)
    if any(not 1 <= load <= 100_000 for load in loads):
        raise click.BadParameter(f"{value!r} is no list of numbers from 1 on, as in 1,8,32")
    return tuple(dict.fromkeys(loads))


def times(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[float, ...]:
    if value is None:
        return ()
    try:
        times = tuple(float(part) for part in value.split(","))
    except ValueError:
        times = (0.0,)
    if any(not 0 < one <= 1000 for one in times):
        raise click.BadParameter(f"{value!r} is no list of numbers above 0, as in 0.5,1,2")
    return tuple(dict.fromkeys(times))


def tenants(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[Tenant, ...]:
    return tenants_in(value)


def cells(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[CellName, ...]:
    names = tuple(part.strip().replace("Oinf", "O∞") for part in value.split(","))
    for name in names:
        if name not in CELLS:
            raise click.BadParameter(f"there is no cell {name!r}; known: {', '.join(CELLS)} (Oinf for O∞)")
    return cast(tuple[CellName, ...], tuple(dict.fromkeys(names)))


def policy(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not is_policy(value):
        raise click.BadParameter(f"there is no policy {value!r}; known: {', '.join(NAMED)}, semaphore:N")
    return value


def rate(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    """`FloatRange` lets what is no number through."""
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number")
    return value
