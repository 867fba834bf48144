"""What the joint queue knows of turns, where more sessions come than are remembered."""

import pytest

from paste_proxy.config import Config, LimitsConfig
from paste_proxy.core import Core
from paste_proxy.events import AdmitTurn, BackendUp, Identity, TimePassed, TurnClosed, TurnRequested
from paste_proxy.grammar.requests import ChatRequest, parse_chat_request
from paste_proxy.schedule.backends import BackendCapacity
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import SPECS
from tests.talk import NoPredictor, Talk

MEMORY = 100_000
CHAT = parse_chat_request(b'{"messages": [{"role": "user", "content": "go"}]}')


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


@pytest.mark.parametrize(("size", "goes"), [(5 * MEMORY, False), (400, True)])
def test_what_can_not_be_read_takes_room_by_its_length(size: int, goes: bool) -> None:
    core = Core(ToolTable(SPECS), Config(), NoPredictor())
    core.handle(BackendUp("", BackendCapacity(kv_tokens=MEMORY)), 0.0)
    Talk(core, Identity(session="first")).ask()

    def admitted(turn: str, request: ChatRequest | None, size: int) -> bool:
        event = TurnRequested(turn, Identity(session=turn), request, size=size)
        return any(isinstance(one, AdmitTurn) and one.turn == turn for one in core.handle(event, 5.0))

    assert admitted("unread", None, size)
    assert admitted("next", CHAT, 0) == goes
    decisions = core.handle(TurnClosed("unread", complete=True), 6.0)
    assert any(isinstance(one, AdmitTurn) for one in decisions) != goes
