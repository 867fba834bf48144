"""An engine on the bench: round rates, and everything that it tells of, in order."""

from collections.abc import Iterable
from typing import Any

import msgspec

from paste_proxy.lab.engine.cache import Message
from paste_proxy.lab.engine.model import EngineModel
from paste_proxy.lab.engine.requests import Began, EngineRequest, Reached
from paste_proxy.lab.engine.spec import EngineSpec

PLAIN = EngineSpec(
    source="made up",
    prefill_tokens_per_s=1000.0,
    decode_tokens_per_s_one_request=100.0,
    decode_slowdown_per_running_request=0.0,
    kv_tokens=1_000_000,
    max_running_requests=100,
    reserve_tokens=0,
)


def engine(**changes: Any) -> EngineModel:
    return EngineModel(msgspec.structs.replace(PLAIN, **changes))


def request(
    rid: str, prompt: int | Iterable[tuple[str, int]], *marks: int, priority: int = 0, kept: int = 0
) -> EngineRequest:
    """`prompt` is one message of so many tokens that nobody else has, or keys of prefixes with tokens."""
    messages = [(rid, prompt)] if isinstance(prompt, int) else prompt
    keyed = tuple(Message(key, tokens) for key, tokens in messages)
    return EngineRequest(rid, keyed, marks, f"{rid}'s reply", priority, kept)


class Bench:
    """Time goes from event to event."""

    def __init__(self, model: EngineModel) -> None:
        self.model = model
        self.told: list[Began | Reached] = []

    def run(self, until: float = float("inf")) -> "Bench":
        """Ends by itself: a model that does not is broken."""
        for _ in range(1_000_000):
            at = self.model.next_event()
            if at is None or at > until:
                break
            self.told += self.model.advance(at)
        else:
            raise AssertionError("it never comes to an end")
        if until < float("inf"):
            self.told += self.model.advance(until)
        return self

    def began(self, rid: str) -> float:
        return next(event.at for event in self.told if isinstance(event, Began) and event.rid == rid)

    def cached(self, rid: str) -> int:
        return next(event.cached for event in self.told if isinstance(event, Began) and event.rid == rid)

    def reached(self, rid: str) -> list[float]:
        return [event.at for event in self.told if isinstance(event, Reached) and event.rid == rid]

    def end(self, rid: str) -> float:
        return next(e.at for e in self.told if isinstance(e, Reached) and e.last and e.rid == rid)


def served(requests: Iterable[EngineRequest], **changes: Any) -> Bench:
    """All submitted at once, run to the end."""
    bench = Bench(engine(**changes))
    for one in requests:
        bench.model.submit(one, 0.0)
    return bench.run()
