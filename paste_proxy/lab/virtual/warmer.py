"""Reading ahead in virtual time: `proxy.warmer` for an engine that is a model; agents tell their prompts."""

from collections.abc import Callable, Sequence

from paste_proxy.events import CancelWarm, Event, WarmEnded, WarmPrefix
from paste_proxy.grammar.events import Usage
from paste_proxy.lab.engine.cache import Message
from paste_proxy.lab.engine.requests import Began, EngineRequest, Reached
from paste_proxy.lab.virtual.fleet import Fleet
from paste_proxy.lab.virtual.time import VirtualTime


class Warmer:
    def __init__(self, fleet: Fleet, time: VirtualTime, tell: Callable[[Event], object]) -> None:
        self._fleet = fleet
        self._time = time
        self._tell = tell
        self._prompts: dict[str, tuple[Message, ...]] = {}
        """What a next turn of each task begins with: that there is none, the core does not know either."""
        self._wanted: set[str] = set()

    def left(self, task: str, prompt: Sequence[Message]) -> None:
        """Its agent runs tools, with so much of its history known."""
        self._prompts[task] = tuple(prompt)

    def carry_out(self, decision: WarmPrefix | CancelWarm, task: str) -> None:
        """`task`: whose it is, of what is to be read. By the loop's next turn, as all that is decided."""
        if isinstance(decision, CancelWarm):
            self._wanted.discard(decision.warm_up)
            self._fleet.abort(decision.warm_up)
        else:
            self._wanted.add(decision.warm_up)
            self._time.after(0.0, lambda: self._begin(decision.warm_up, task))

    def _begin(self, warm_up: str, task: str) -> None:
        if warm_up not in self._wanted:
            return
        self._wanted.discard(warm_up)
        prompt = self._prompts.get(task)
        if prompt is None:
            self._tell(WarmEnded(warm_up, ok=False))
            return
        cached = 0

        def told(event: Began | Reached) -> None:
            nonlocal cached
            if isinstance(event, Began):
                cached = event.cached
            else:
                tokens = sum(message.tokens for message in prompt)
                self._tell(WarmEnded(warm_up, ok=True, usage=Usage(tokens, 1, cached)))

        request = EngineRequest(rid=warm_up, prompt=prompt, marks=(1,), reply=warm_up, priority=-1)
        self._fleet.submit(task, request, told)
