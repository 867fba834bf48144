"""Reading ahead, for an engine in virtual time."""

from collections.abc import Callable
from typing import Any

from paste_proxy.events import CancelWarm, WarmEnded, WarmPrefix
from paste_proxy.grammar.events import Usage
from paste_proxy.lab.engine.cache import Message
from paste_proxy.lab.engine.requests import EngineRequest
from paste_proxy.lab.virtual.fleet import Fleet
from paste_proxy.lab.virtual.time import VirtualTime
from paste_proxy.lab.virtual.warmer import Warmer
from tests.lab.engine.bench import PLAIN

WARM = WarmPrefix("w", "t", "", "s", "", ())
PROMPT = (Message("a", 100), Message("ab", 900))


class Lab:
    def __init__(self) -> None:
        self.time = VirtualTime()
        self.fleet = Fleet(PLAIN, 1, self.time)
        self.told: list[tuple[float, Any]] = []
        self.warmer = Warmer(self.fleet, self.time, lambda event: self.told.append((self.time.now, event)))

    def run(self, *steps: tuple[float, Callable[[], None]]) -> list[tuple[float, Any]]:
        for at, step in steps:
            self.time.at(at, step)
        self.time.run(lambda: False)
        return self.told

    def cached(self) -> int:
        return self.fleet.engines[0].cache.cached(PROMPT)

    def ask(self) -> None:
        request = EngineRequest(rid="first", prompt=PROMPT[:1], marks=(1,), reply="r")
        self.fleet.submit("task", request, lambda _: None)


def test_it_is_read_and_what_was_there_is_told() -> None:
    lab = Lab()
    lab.warmer.left("task", PROMPT)
    told = lab.run((0.0, lab.ask), (1.0, lambda: lab.warmer.carry_out(WARM, "task")))
    assert told == [(1.9, WarmEnded("w", ok=True, usage=Usage(1000, 1, 100)))]
    assert lab.cached() == 1000


def test_what_is_called_off_leaves_nothing_that_was_not_read() -> None:
    lab = Lab()
    lab.warmer.left("task", PROMPT)
    cancel = (1.5, lambda: lab.warmer.carry_out(CancelWarm("w"), ""))
    told = lab.run((0.0, lab.ask), (1.0, lambda: lab.warmer.carry_out(WARM, "task")), cancel)
    assert told == []
    assert lab.cached() == 100


def test_what_is_called_off_at_once_never_begins() -> None:
    lab = Lab()
    lab.warmer.left("task", PROMPT)
    lab.warmer.carry_out(WARM, "task")
    lab.warmer.carry_out(CancelWarm("w"), "")
    assert lab.run() == []
    assert lab.cached() == 0


def test_nothing_is_known_of_a_task_that_never_called() -> None:
    lab = Lab()
    lab.warmer.carry_out(WARM, "task")
    assert lab.run() == [(0.0, WarmEnded("w", ok=False))]
