"""What a cell is built of."""

from paste_proxy.lab.virtual.predictors import Silent
from paste_proxy.lab.virtual.site import VirtualSite
from paste_proxy.schedule.asked import Asked
from paste_proxy.schedule.queue import turn_lane
from tests.lab.virtual.small import ENGINE, SmallWorld


def test_without_a_predictor_nothing_may_run_ahead() -> None:
    broker = VirtualSite(SmallWorld(), ENGINE, None).shell.core.broker
    assert not any(broker.may_run_ahead(name) for name in broker.specs)


def test_with_one_all_that_reads_may() -> None:
    broker = VirtualSite(SmallWorld(), ENGINE, Silent()).shell.core.broker
    assert [name for name in broker.specs if broker.may_run_ahead(name)] == ["look", "break"]


def test_several_engines_have_as_many_times_the_slots_of_tools() -> None:
    site = VirtualSite(SmallWorld(slots=2), ENGINE, None, engines=3)
    assert {spec.concurrency for spec in site.shell.core.broker.specs.values()} == {6}
    assert len(site.fleet.engines) == 3


def test_settings_are_laid_over_the_site_s_own() -> None:
    settings = {"speculation": {"candidates": 7}, "backend": {"max_turns": 2}}
    core = VirtualSite(SmallWorld(), ENGINE, Silent(), settings=settings).shell.core
    assert core.broker.may_run_ahead("look")
    assert core.broker.may_run_ahead("break")
    assert core.turns.expectations.speculation.candidates == 7
    for turn in ("a", "b", "c"):
        core.queue.ask(Asked(turn), turn_lane(""))
    assert len(core.queue.startable()) == 2
