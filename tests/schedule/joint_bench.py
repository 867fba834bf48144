"""A lane of `joint`, as its tests use it."""

from dataclasses import dataclass, field

from paste_proxy.schedule.asked import Asked, Place
from paste_proxy.schedule.backends import BackendCapacity
from paste_proxy.schedule.joint import JointLane
from paste_proxy.schedule.thrash import CALM

BUDGET = 92_000
MEMORY = round(BUDGET / CALM)


@dataclass
class Bench:
    """A lane, and the sessions that use it."""

    memory: int = MEMORY
    running: int = 0
    shares: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lane = JointLane(lambda: 0, share=lambda tenant: self.shares.get(tenant, 1.0), hint_s=10.0)
        self.lane.knows(BackendCapacity(self.memory, self.running))
        self.number = 0

    def ask(self, name: str, context: int = 10_000, now: float = 0.0, **more: object) -> str:
        """A turn of the session `name`; it has the session's name and a number."""
        self.number += 1
        known = {"session": name, "tenant": "t", "born": now} | more
        turn = f"{name}{self.number}"
        place = Place(now, self.number)
        self.lane.add(Asked(turn, context=context, place=place, **known))  # type: ignore[arg-type]
        return turn

    def go(self) -> list[str]:
        """The sessions whose turns may go now, in order."""
        gone = []
        while (asked := self.lane.next()) is not None:
            gone.append(asked.session or asked.id)
        return gone

    def answer(self, turn: str, session: str, away_s: float = 1.0, now: float = 0.0) -> None:
        self.lane.release(turn)
        self.lane.paused(session, away_s, now, calls=True)
