"""`paste-proxy lab schedule`: what it runs, and what it says of it."""

import json

import pytest
from click.testing import CliRunner, Result

from paste_proxy.lab.run_command import lab
from paste_proxy.lab.virtual.verdicts import CHECKS

SMALL = ("--tasks", "2", "--jobs", "1", "--load", "1,2", "--kv", "1", "--arrivals", "cohort")


def said(*options: str) -> Result:
    return CliRunner().invoke(lab, ["schedule", *SMALL, *options])


@pytest.mark.parametrize("check", ["idle", "worse", "fair"])
def test_every_check_is_run_and_judged(check: str) -> None:
    result = said("--check", check, "--json", "--load", "2")
    told = json.loads(result.stdout)
    assert list(told) == [check]
    assert {row["cell"] for row in told[check]["rows"]} == set(CHECKS[check].cells)
    assert told[check]["verdicts"]
    holds = [verdict["holds"] for verdict in told[check]["verdicts"]]
    assert result.exit_code == (0 if all(holds) else 1)


def test_capacity_needs_several_loads() -> None:
    [verdict] = json.loads(said("--check", "capacity", "--json").stdout)["capacity"]["verdicts"]
    assert verdict["what"] == "tasks/h with p95 <= 2 x alone, F / E*"


def test_for_people_it_prints_a_line_for_each_promise() -> None:
    result = said("--check", "saturation", "--load", "2")
    head, line = result.stdout.splitlines()
    assert head == "saturation: beyond what engines can do F beats E*: 1 of 1 hold"
    assert line.startswith("     mean task time F / E*: 0.")
    assert line.endswith(" <= 0.850 (cohort, KV x 1, load 2)")
    assert result.exit_code == 0


def test_what_does_not_hold_is_marked() -> None:
    result = said("--check", "rivals", "--policy", "fcfs", "--load", "2")
    assert "  NO E / A (fcfs), at best: 1.000 <= 0.950 (cohort, KV x 1, load 2)" in result.stdout.splitlines()
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--arrivals", "now"), "'now' is no list of closed, poisson, cohort"),
        (("--check", "all"), "'all' is not one of"),
        (("--kv", "0"), "no list of numbers above 0"),
        (("--load", "x"), "no list of numbers"),
    ],
)
def test_what_can_t_be_run_is_said(options: tuple[str, ...], complaint: str) -> None:
    result = said(*options)
    assert result.exit_code == 2
    assert complaint in result.output
