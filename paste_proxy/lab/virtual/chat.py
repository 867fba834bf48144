"""Plain chat beside the tasks: requests that nothing runs ahead for, and that must not wait for what does.

They arrive at random, and pass the same core and the same engines.
"""

import math
import random
from collections.abc import Sequence
from importlib import resources

import msgspec
import yaml

from paste_proxy.grammar.requests import RequestTool
from paste_proxy.lab.engine.spec import EngineSpec
from paste_proxy.lab.virtual.agent import Agent, Site, TaskTrack
from paste_proxy.lab.virtual.world import Answered, Said, Saying
from paste_proxy.lab.workload import Draws, LogNormal
from paste_proxy.predict.model import Call


class ChatSizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """chat.yaml."""

    prompt_tokens: LogNormal
    reply_tokens: LogNormal


def load_chat() -> ChatSizes:
    text = resources.files("paste_proxy.lab").joinpath("chat.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.safe_load(text), ChatSizes)


def most_chat_per_s(engine: EngineSpec) -> float:
    """Requests that one engine answers, full of them and with nothing else to do."""
    sizes, running = load_chat(), engine.max_running_requests
    prefill_s = engine.prefill_s(round(sizes.prompt_tokens.mean), 0)
    decode_s = sizes.reply_tokens.mean / (running * engine.decode_rate(running))
    return 1 / (prefill_s + decode_s)


class ChatScript:
    """`world.Script`: one question and its answer."""

    offered: tuple[RequestTool, ...] = ()

    def __init__(self, number: int, prompt_tokens: int, reply_tokens: int) -> None:
        self.task = f"chat-{number}"
        self.over = False
        self.opening = (Said("user", f"Question {number}", prompt_tokens),)
        self._reply = Saying(((f"Answer {number}", reply_tokens),))

    def next_turn(self) -> Saying:
        return self._reply

    def answered(self, answers: Sequence[Answered]) -> None:
        self.over = True

    def interlude(self) -> Sequence[Said]:
        return ()

    def derivable(self) -> Sequence[Call]:
        return ()

    def pause(self) -> float:
        return 0.0


class Chat:
    """Independent arrivals, `per_s` of them a second; none if that is 0."""

    def __init__(self, site: Site, per_s: float, seed: int) -> None:
        self._site = site
        self._per_s = per_s
        self._sizes = load_chat()
        self._draws = Draws(f"{seed}/chat")
        self._arrivals = random.Random(f"{seed}/chat")
        self._asked = 0
        self._waits: list[tuple[float, float]] = []

    def start(self) -> None:
        if self._per_s:
            self._site.time.after(-math.log(1.0 - self._arrivals.random()) / self._per_s, self._arrive)

    def ttft_s(self, begin: float, end: float) -> list[float]:
        """What requests of that time waited for their first token."""
        return [wait for asked, wait in self._waits if begin <= asked <= end]

    def _arrive(self) -> None:
        self._asked += 1
        Agent(self._script(self._asked), self._site, self._over).begin()
        self.start()

    def _script(self, number: int) -> ChatScript:
        prompt = self._draws.size(self._sizes.prompt_tokens, number, "prompt")
        reply = self._draws.size(self._sizes.reply_tokens, number, "reply")
        return ChatScript(number, max(1, round(prompt)), max(1, round(reply)))

    def _over(self, track: TaskTrack) -> None:
        [turn] = track.turns
        self._waits.append((turn.asked, turn.first - turn.asked))
