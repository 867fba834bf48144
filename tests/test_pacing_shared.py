"""What turns are asked for with, by what replies and requests said before."""

from dataclasses import dataclass, field

import pytest

from paste_proxy.config import Config
from paste_proxy.events import Identity
from paste_proxy.grammar.events import TurnEnded, Usage, UsageReported
from paste_proxy.grammar.requests import ChatRequest, Message
from paste_proxy.pacing import Pacing
from paste_proxy.schedule.asked import Asked
from paste_proxy.schedule.backends import BackendCapacity
from paste_proxy.schedule.policies import lanes_of
from paste_proxy.schedule.queue import Capacity, JointQueue
from paste_proxy.sessions.state import SessionState

MEMORY = 10_000
SHARED, OWN = 600, 400
"""Tokens of a first prompt: what sessions begin alike, and what is theirs."""


@dataclass
class Bench:
    """Turns one after another, each told of as its reply comes."""

    queue: JointQueue = field(
        default_factory=lambda: JointQueue(
            Capacity(lambda _: 0, 1, 0, 1, lambda _: 1), lanes_of("joint", lambda _: 1.0)
        )
    )
    now: float = 0.0

    def __post_init__(self) -> None:
        self.pacing = Pacing(self.queue, Config(), lambda _: None)
        self.pacing.up("", BackendCapacity(MEMORY))

    def ask(self, session: str, characters: int = 4000) -> Asked:
        request = ChatRequest((Message("user", "x" * characters),), (), b"")
        self.pacing.requested(session, SessionState(session, "t"), request, Identity(tenant="t"), self.now)
        asked = self.pacing.asked(session, "")
        self.queue.ask(asked, "turns:")
        return asked

    def serve(self, session: str, prompt: int, cached: int) -> None:
        self.queue.startable()
        self.now += 1.0
        self.pacing.sent(session, self.now)
        self.pacing.began(session, self.now + 0.5)
        self.pacing.streamed(session, TurnEnded("stop"), self.now + 1.0)
        self.pacing.streamed(session, UsageReported(Usage(prompt, 50, cached)), self.now + 1.0)

    @property
    def leased_tokens(self) -> int:
        return self.pacing.facts["turns:"].leased_tokens


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_sessions_begin_alike_is_in_memory_once(bench: Bench) -> None:
    for number in range(6):
        bench.ask(f"s{number}")
        bench.serve(f"s{number}", SHARED + OWN, SHARED if number else 0)
        bench.queue.release(f"s{number}")
        bench.pacing.closed(f"s{number}", bench.now + 1.0, complete=True, final=True)
    asked = bench.ask("next")
    assert asked.context == pytest.approx(OWN, abs=110)
    assert asked.cold == asked.context
    bench.serve("next", SHARED + OWN, SHARED)
    assert bench.leased_tokens == pytest.approx(OWN + 50, abs=110)


def test_where_the_engine_had_nothing_in_memory_all_of_a_prompt_counts(bench: Bench) -> None:
    for number in range(3):
        bench.ask(f"s{number}")
        bench.serve(f"s{number}", 1000, 0)
    assert bench.ask("next").context == 1000
    assert bench.leased_tokens == 3 * 1050
