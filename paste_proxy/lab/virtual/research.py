"""The research workload in virtual time: the policy of research.yaml, and the search service that it asks.

Sizes and times are the demo's (`sizes.py`); the texts are short, since they are counted by what was drawn.
"""

import hashlib
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import msgspec
import orjson

from paste_proxy.lab.conversation import Conversation, PastCall
from paste_proxy.lab.policy import Policy, Turn, unopened
from paste_proxy.lab.sizes import ADDRESS, CHARACTERS_PER_TOKEN, OPEN, READ, SEARCH, SUBJECT, Sizes, reference
from paste_proxy.lab.virtual.world import Answered, Said, SaidCall, Saying, ToolAnswer, offered
from paste_proxy.lab.vocabulary import load_vocabulary
from paste_proxy.lab.workload import Workload, load_workload
from paste_proxy.predict.model import Call
from paste_proxy.tools.ports import Output
from paste_proxy.tools.spec import Effect, ToolSpec

FIRST_REHEARSAL = 1_000_000
"""Tasks from here on are learnt from; those below are measured."""
PAGES = 10_000
"""Names of pages that a search may find; a name is found again now and then, as in the real world."""

MOST_RESULTS = 100
"""Of one search, as in `plugins/docs.py`: any number in sight may be guessed as its limit."""

FILLER = "."
"""Stands for text that says nothing of what comes: no word, so reading it costs next to nothing."""


class ResearchWorld:
    """Answers by what is asked for alone, so that equal calls are answered alike whoever asks."""

    def __init__(self, workload: Workload, sizes: Sizes, time_scale: float = 1.0) -> None:
        slots = workload.tool_slots
        self.specs: Mapping[str, ToolSpec] = {
            SEARCH: _spec(SEARCH, {"query": "string", "limit": "integer"}, slots.search),
            OPEN: _spec(OPEN, {"address": "string"}, slots.open),
            READ: _spec(READ, {"path": "string"}, slots.open),
        }
        self._sizes = sizes
        self._time_scale = time_scale

    def answer(self, task: str, tool: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        """`task` changes nothing."""
        if tool == SEARCH:
            output = Output(orjson.dumps(_found(arguments["query"], arguments.get("limit", 10))))
        else:
            output = Output(f"The text of {arguments[SUBJECT[tool]]}.".encode(), is_text=True)
        seconds = self._sizes.seconds(tool, arguments) * self._time_scale
        return ToolAnswer(output, seconds)

    def tokens(self, tool: str, arguments: Mapping[str, Any], text: str) -> int:
        """As drawn, whatever the text is."""
        return self._sizes.result(tool, arguments)


def _spec(name: str, parameters: Mapping[str, str], slots: int) -> ToolSpec:
    schema = {
        "type": "object",
        "properties": {key: {"type": kind} for key, kind in parameters.items()},
        "required": [key for key in parameters if key != "limit"],
        "additionalProperties": False,
    }
    return ToolSpec(name, name, schema, Effect.READ, frozenset(), frozenset(), concurrency=slots)


def _found(query: str, limit: int) -> dict[str, Any]:
    digest = hashlib.sha256(query.encode()).digest()
    results = []
    for place in range(1, min(limit, MOST_RESULTS) + 1):
        page = int.from_bytes(digest[place : place + 4]) % PAGES
        results.append({"address": f"{ADDRESS}page{page}{reference(query, place)}"})
    return {"results": results}


class Research:
    """`experiment.LabWorkload`. Its tasks have no end."""

    name = "research"
    tasks = None
    rehearsals = 50
    """400 searches and openings: more of them change its estimates by less than they are uncertain."""

    def __init__(
        self, *, token_scale: float = 1.0, time_scale: float = 1.0, sizes: Sizes | None = None
    ) -> None:
        """`sizes`: others than those that are drawn."""
        self.workload = load_workload()
        self.sizes = sizes or Sizes(self.workload, token_scale)
        self.pause_s = self.workload.arrivals.think_seconds
        """Of the agent's own, between a call's answer and its next request."""
        self.policy = Policy(self.workload, self.sizes, terse=True)
        self.world = ResearchWorld(self.workload, self.sizes, time_scale)
        self.offered = offered(self.world.specs.values())
        self.system_prompt = load_vocabulary().system_prompt

    def script(self, task: int) -> "ResearchScript":
        return ResearchScript(self, task)

    def rehearsal(self, number: int) -> "ResearchScript":
        """A task that no run measures, to learn from."""
        return ResearchScript(self, FIRST_REHEARSAL + number)


class ResearchScript:
    """One task. Stateful, but equal to asking the policy with the whole conversation each time."""

    def __init__(self, research: Research, task: int) -> None:
        self.task = f"research-{task}"
        self.number = task
        self.offered = research.offered
        self.over = False
        self._research = research
        self._policy = research.policy
        self._sizes = research.sizes
        self._calls: list[PastCall] = []
        self._turns = 0
        self._digest = hashlib.sha256(self.task.encode())

    @property
    def opening(self) -> Sequence[Said]:
        return [
            Said("system", self._research.system_prompt, self._sizes.system()),
            Said("user", f"Task {self.number}", self._sizes.user(self.number)),
        ]

    def next_turn(self) -> Saying:
        turn = self._policy.next_turn(self._conversation())
        self._turns += 1
        if turn.call is None:
            self.over = True
            return Saying(((turn.text, turn.tokens),))
        call = SaidCall(turn.call.call_id, turn.call.tool, turn.call.arguments, turn.call_tokens)
        return Saying(tuple(_cut(turn)), (call,))

    def _conversation(self) -> Conversation:
        return Conversation(self.number, self._turns, tuple(self._calls), (self._digest.hexdigest(),))

    def answered(self, answers: Sequence[Answered]) -> None:
        for answer in answers:
            arguments = msgspec.json.decode(answer.call.arguments)
            self._calls.append(PastCall(answer.call.call_id, answer.call.tool, arguments, answer.text))
            self._digest.update(answer.text.encode())

    def interlude(self) -> Sequence[Said]:
        """Nobody asks anything more."""
        return ()

    def derivable(self) -> list[Call]:
        """Until it searches again, it opens pages that its last search named, and others that nothing names."""
        known = set(unopened(self._conversation()))
        found, ahead = [], copy(self)
        ahead._calls, ahead._digest = list(self._calls), self._digest.copy()
        while (saying := ahead.next_turn()).calls and saying.calls[0].tool != SEARCH:
            call = saying.calls[0]
            arguments = msgspec.json.decode(call.arguments)
            if arguments.get(SUBJECT[OPEN]) in known:
                found.append(Call(call.tool, arguments))
            ahead.answered([Answered(call, "", 0)])
        return found

    def pause(self) -> float:
        return self._research.pause_s


def _cut(turn: Turn) -> list[tuple[str, int]]:
    """In two where a page is named. What comes then is as long as it would be: text is told in pieces of one
    size, and a short one would be told with the call that ends it."""
    if not turn.named_after:
        return [(turn.text, turn.text_tokens)]
    before = max(1, round(turn.text_tokens * turn.named_after))
    after = turn.text_tokens - before
    return [(turn.text, before), (FILLER * (after * CHARACTERS_PER_TOKEN), after)]
