"""Pausing and resuming of whole programs, as ThunderAgent does it (arXiv 2602.13692, and its code of 2026):
what another proxy in front of an engine does, outside of our core (cell T).

Every five seconds it resumes programs that fit into the engine's memory, and pauses programs until the others
do: of those whose tool runs the smallest, then the smallest of those that the model writes for, which are
paused when their turn ends. A request of a paused program waits.
"""

import math
from collections.abc import Callable, Iterable

import msgspec

from paste_proxy.lab.virtual.time import Timer, VirtualTime

TICK_S = 5.0
"""Of its control loop."""
BUFFER_TOKENS = 100
"""Kept free for each active program."""
LONGEST_WAIT_S = 1800.0
"""After which a program is resumed, whether it fits or not."""


class Program(msgspec.Struct, eq=False):
    """A task. Its tokens are the engine's own, where the original estimates them from characters."""

    name: str
    number: int
    """In the order of arrival."""
    tokens: int = 0
    steps: int = 0
    reasoning: bool = True
    """A request of it waits or is under way; else its tool runs."""
    active: bool = False
    marked: bool = False
    """It is paused when its turn ends."""
    go: Callable[[], None] | None = None
    """The request that waits."""
    timer: Timer | None = None


class Pausing:
    """`agent.Door` of one engine."""

    def __init__(self, kv_tokens: int, time: VirtualTime) -> None:
        self.paused = 0
        """How often a program was."""
        self._kv_tokens = kv_tokens
        self._time = time
        self._programs: dict[str, Program] = {}
        self._arrived = 0
        self._shared = 0
        """Of a prompt: what all programs have in common, and is in memory once."""
        self._ticks = False

    # -- what happens to programs -------------------------------------------------------------------------

    def ask(self, task: str, tokens: int, shared: int, go: Callable[[], None]) -> None:
        """A program's request of `tokens`, of which every program has the first `shared`."""
        program = self._programs.get(task)
        if program is None:
            self._arrived += 1
            program = self._programs[task] = Program(task, self._arrived)
        self._shared = shared
        program.steps += 1
        program.tokens, program.reasoning = tokens, True
        if program.steps == 1 and not self._others_wait(program) and self._required(program) <= self._room():
            program.active = True
        if program.active:
            go()
            return
        program.go = go
        program.timer = self._time.after(LONGEST_WAIT_S, lambda: self._resume(program))
        self._keep_ticking()

    def replied(self, task: str, tokens: int) -> None:
        """Its turn has ended, with so many tokens of prompt and reply; its tool runs."""
        program = self._programs[task]
        program.tokens, program.reasoning = tokens, False
        if program.marked:
            self._pause(program)
        self._keep_ticking()

    def over(self, task: str) -> None:
        del self._programs[task]

    # -- the control loop ---------------------------------------------------------------------------------

    def _keep_ticking(self) -> None:
        """At multiples of its interval, as long as there are programs."""
        if not self._ticks and self._programs:
            self._ticks = True
            self._time.at((math.floor(self._time.now / TICK_S) + 1) * TICK_S, self._tick)

    def _tick(self) -> None:
        self._ticks = False
        self._resume_what_fits()
        self._pause_until_all_fit()
        self._keep_ticking()

    def _resume_what_fits(self) -> None:
        """Those that have a request waiting, new ones, and those that have none; of each the smallest first. On
        one engine best fit decreasing is: the largest of those chosen first."""
        room, chosen = self._room(), list[Program]()
        for program in sorted(self._waiting(), key=_urgency):
            if self._required(program) <= room:
                room -= self._required(program)
                chosen.append(program)
        for program in sorted(chosen, key=lambda one: (-one.tokens, one.number)):
            self._resume(program)

    def _pause_until_all_fit(self) -> None:
        acting = iter(sorted((one for one in self._active() if not one.reasoning), key=_size))
        writing = iter(sorted((one for one in self._active() if one.reasoning and not one.marked), key=_size))
        while self._room() < 0:
            if program := next(acting, None):
                self._pause(program)
            elif program := next(writing, None):
                program.marked = True
            else:
                return

    def _resume(self, program: Program) -> None:
        program.active = True
        go, program.go = program.go, None
        if program.timer is not None:
            program.timer.cancel()
            program.timer = None
        if go is not None:
            go()

    def _pause(self, program: Program) -> None:
        self.paused += 1
        program.active = program.marked = False

    # -- memory -------------------------------------------------------------------------------------------

    def _room(self) -> int:
        """What is left for others once those that are marked have left."""
        staying = (program for program in self._active() if not program.marked)
        return self._kv_tokens - self._shared - sum(map(self._required, staying))

    def _required(self, program: Program) -> int:
        return program.tokens - self._shared + BUFFER_TOKENS

    def _active(self) -> Iterable[Program]:
        return (program for program in self._programs.values() if program.active)

    def _waiting(self) -> Iterable[Program]:
        return (program for program in self._programs.values() if not program.active)

    def _others_wait(self, program: Program) -> bool:
        return any(one is not program for one in self._waiting())


def _urgency(program: Program) -> tuple[int, int, int]:
    group = 1 if program.steps == 1 else 0 if program.reasoning else 2
    return group, program.tokens, program.number


def _size(program: Program) -> tuple[int, int]:
    return program.tokens, program.number
