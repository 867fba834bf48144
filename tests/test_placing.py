"""What is said of a turn when it may go to its backend."""

import pytest

from paste_proxy.config import BackendConfig, Config
from paste_proxy.core import Core
from paste_proxy.events import AdmitTurn, BackendUp, Decision, Identity, SessionOver, TurnClosed, TurnRequested
from paste_proxy.grammar.requests import parse_chat_request
from paste_proxy.schedule.backends import BackendCapacity, PriorityBand
from paste_proxy.tools.table import ToolTable
from tests.talk import NoPredictor

BAND = PriorityBand(soonest=4, latest=-4)
BODY = b'{"messages": [{"role": "user", "content": "go"}]}'


def a_core(*backends: str) -> Core:
    config = Config(backends={name: BackendConfig(url="http://x") for name in backends})
    return Core(ToolTable({}), config, NoPredictor())


def ask(core: Core, turn: str, now: float = 0.0, **identity: object) -> AdmitTurn:
    who = Identity(**identity)  # type: ignore[arg-type]
    admitted = core.handle(TurnRequested(turn, who, parse_chat_request(BODY)), now)
    assert len(admitted) == 1
    assert isinstance(admitted[0], AdmitTurn)
    return admitted[0]


def test_nothing_is_said_of_priorities_that_are_not_verified() -> None:
    core = a_core()
    assert ask(core, "t1", priority=5).priority is None
    core.handle(BackendUp("", BackendCapacity(kv_tokens=100_000)), 0.0)
    assert ask(core, "t2", priority=5).priority is None


@pytest.mark.parametrize(("hint", "number"), [(0, 0), (10, 4), (-10, -4), (3, 2)])
def test_every_turn_has_one_where_they_are(hint: int, number: int) -> None:
    core = a_core()
    core.handle(BackendUp("", BackendCapacity(priority=BAND)), 0.0)
    assert ask(core, "t1", priority=hint).priority == number


def test_each_backend_counts_in_its_own_way() -> None:
    core = a_core("a", "b")
    core.handle(BackendUp("a", BackendCapacity(priority=BAND)), 0.0)
    core.handle(BackendUp("b", BackendCapacity(priority=PriorityBand(soonest=-5, latest=5))), 0.0)
    numbers = set()
    for one in range(20):
        admitted = ask(core, f"t{one}", session=f"s{one}", priority=10)
        numbers.add((admitted.backend, admitted.priority))
    assert numbers == {("a", 4), ("b", -5)}


def test_whose_turn_it_is_and_when_no_more_will_come() -> None:
    core = a_core()
    admitted = ask(core, "t1", session="s", final=True)
    assert admitted.session
    ended: list[Decision] = core.handle(TurnClosed("t1", complete=True), 1.0)
    assert ended == [SessionOver(admitted.session)]


def test_a_session_that_is_silent_for_long_is_over() -> None:
    core = a_core()
    first = ask(core, "t1", session="s")
    core.handle(TurnClosed("t1", complete=True), 1.0)
    later = core.next_deadline()
    assert later is not None
    assert later > 1000
    told = core.handle(TurnRequested("t2", Identity(session="other"), None), later + 1)
    assert SessionOver(first.session) in told
