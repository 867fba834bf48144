"""Whose tasks are, and what each should get."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.errors import ConfigError
from paste_proxy.lab.virtual.experiment import Cell, Plan, run_cell
from paste_proxy.lab.virtual.tenants import ONE, Split, Tenant, fair, tenants_in
from tests.lab.virtual.small import ENGINE, SmallWorkload

BOTH = (Tenant("heavy", 8), Tenant("light"))


def test_they_are_written_with_their_weights() -> None:
    assert tenants_in("heavy:8, light") == BOTH
    assert tenants_in("default") == ONE


@pytest.mark.parametrize("text", ["", "a,", ":3", "a:0", "a:x", "a:1001", "a:1.5"])
def test_what_is_no_tenant_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match="is no tenant with a weight"):
        tenants_in(text)
    with pytest.raises(ConfigError, match="names a tenant twice"):
        tenants_in("a:1,a:2")


def test_tasks_are_mixed_evenly() -> None:
    split = Split(BOTH)
    assert Counter(split.of(task) for task in range(90)) == {"heavy": 80, "light": 10}
    for begin in range(50):
        assert "light" in {split.of(task) for task in range(begin, begin + 9)}
    assert split.share("light") == pytest.approx(1 / 9)


@given(
    wanted=st.dictionaries(st.text(max_size=3), st.floats(0.01, 100), min_size=1, max_size=6),
    total=st.floats(0.01, 300),
)
def test_fair_is_max_min(wanted: dict[str, float], total: float) -> None:
    shares = fair(wanted, total)
    assert sum(shares.values()) == pytest.approx(min(total, sum(wanted.values())))
    most = max(shares.values())
    for name, share in shares.items():
        assert share <= wanted[name] + 1e-9
        assert share == pytest.approx(min(wanted[name], most)) or share == pytest.approx(wanted[name])


def test_each_keeps_its_places_of_a_closed_loop() -> None:
    plan = Plan(ENGINE, 18, tenants=BOTH)
    run = run_cell(SmallWorkload(slots=100), plan, "A", 9)
    light = run.services["light"]
    assert light.tasks == (4, 13)
    assert sum(one.ended for one in run.services.values()) == run.ended
    assert sum(one.model_s for one in run.services.values()) > light.model_s > 0


def test_at_a_load_without_a_place_for_a_tenant_its_tasks_are_run_all_the_same() -> None:
    run = run_cell(SmallWorkload(), Plan(ENGINE, 9, tenants=BOTH), "A", 1)
    assert sorted(run.tracks) == list(range(9))


def test_the_core_hears_whose_a_task_is() -> None:
    cell = Cell(SmallWorkload(), Plan(ENGINE, 9, tenants=BOTH), "A", 9)
    cell.run()
    sessions = cell.site.shell.core.turns.sessions.values()
    assert {session.tenant for session in sessions} == {"heavy", "light"}
