"""What the joint queue knows of turns, where more sessions come than are remembered."""

from paste_proxy.config import Config, LimitsConfig
from paste_proxy.core import Core
from paste_proxy.events import BackendUp, Identity, TimePassed
from paste_proxy.schedule.backends import BackendCapacity
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import SPECS
from tests.talk import NoPredictor, Talk

MEMORY = 100_000


def test_a_session_that_was_forgotten_while_it_was_served_gives_its_lease_back() -> None:
    core = Core(ToolTable(SPECS), Config(limits=LimitsConfig(sessions=1)), NoPredictor())
    core.handle(BackendUp("", BackendCapacity(kv_tokens=MEMORY)), 0.0)
    first, second = (Talk(core, Identity(session=name)) for name in ("first", "second"))
    first.ask()
    second.ask()
    first.ends()
    second.ends()
    core.handle(TimePassed(), 1000.0)
    assert (core.pacing.facts_of("").leased, core.pacing.facts_of("").leased_tokens) == (0, 0)
