"""One engine in virtual time: continuous batching with prefill first, chunked; decoding in step; KV memory.

Sans-IO: `submit` and `abort` at a time, `next_event` says when something happens next, `advance` up to a time
says what happened. Between events every running request decodes at the same rate, so the tokens that one has
written are a difference of two readings of one counter, and what comes next is found in a heap.

What is modelled, after SGLang 0.5.23 (`managers/scheduler.py`): waiting prompts are prefilled before running
requests decode on, up to `chunk_tokens` at a time; a request is admitted if its missing prompt and what it and
the running ones may still write fit; one for whose output no room is left gives its place up and starts over.
What is not: the time of single steps, speculative decoding, other parallelism than what the rates state.
"""

import heapq
from typing import Literal

import msgspec

from paste_proxy.lab.engine.cache import Key, Message, RadixCache
from paste_proxy.lab.engine.policies import ordered
from paste_proxy.lab.engine.spec import EngineSpec

EPSILON = 1e-6
"""Tokens: what floating-point time may be off by."""


class EngineRequest(msgspec.Struct, frozen=True):
    """One LLM request, and what the model will say to it."""

    rid: str
    prompt: tuple[Message, ...]
    """At least one message."""
    marks: tuple[int, ...]
    """Output tokens after which something is told of, rising; the last one ends the reply. At least 1."""
    reply: Key
    """Stands for the prompt and the reply to it: the prefix that the next request of the session has."""
    priority: int = 0
    kept: int = 0
    """Tokens of the reply that stay in that prefix, where these are others than what was written; 0: all."""


class Reached(msgspec.Struct, frozen=True):
    """A request has written the tokens of `marks[mark]`; with the last one it is over."""

    rid: str
    mark: int
    at: float
    last: bool = False


class Began(msgspec.Struct, frozen=True):
    """A request has left the engine's queue, `cached` tokens of its prompt being there."""

    rid: str
    at: float
    cached: int


class _Request(msgspec.Struct, eq=False):
    request: EngineRequest
    arrived: int
    prefilled_at_arrival: int
    prompt_tokens: int
    left: int = 0
    """Tokens that are still to be prefilled."""
    mark: int = 0
    """The next one."""
    written: float = 0.0
    """Output tokens when the counter stood at `base`."""
    base: float = 0.0
    state: Literal["coming", "waiting", "prefill", "decode", "over"] = "coming"

    @property
    def priority(self) -> int:
        return self.request.priority

    @property
    def lead(self) -> float:
        """What to add to the counter for its output tokens."""
        return self.written - self.base


class EngineModel:
    """The totals, and the numbers waiting and running, may be read at any time."""

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        self.cache = RadixCache(spec.kv_tokens, shares=spec.prefix_cache)
        self.now = 0.0
        self.prompted = 0
        """Prompt tokens of all requests that were admitted."""
        self.prefilled = 0
        """Tokens ever prefilled: prompt tokens that were not cached, and what was lost and read again."""
        self.retracted = 0
        """How often a request gave its place up."""
        self._arrivals = 0
        self._told: list[Began | Reached] = []
        """What happened, and was not asked for yet."""
        self._requests: dict[str, _Request] = {}
        self._coming: list[tuple[float, int, _Request]] = []
        """Submitted, not yet with the scheduler: a heap by time."""
        self._waiting: list[_Request] = []
        self._prefilling: list[_Request] = []
        """Admitted, of whose tokens some are missing; in order."""
        self._batch: list[tuple[_Request, int]] = []
        """What the prefill under way reads of each."""
        self._batch_ends = 0.0
        self._decoding: list[_Request] = []
        self._leads = 0.0
        """Of all that decode, added up."""
        self._counter = 0.0
        """Tokens that a request would have written that decoded from the beginning."""
        self._due: list[tuple[float, int, int, _Request]] = []
        """A heap of marks, by the counter's reading at which they are reached."""

    @property
    def waiting(self) -> int:
        return len(self._waiting) + len(self._coming)

    @property
    def running(self) -> int:
        return len(self._decoding) + len(self._prefilling)

    @property
    def output_held(self) -> int:
        """Output tokens of running requests that are in memory."""
        decoding = len(self._decoding) * self._counter + self._leads
        return round(decoding + sum(one.written for one in self._prefilling))

    # -- requests -----------------------------------------------------------------------------------------

    def submit(self, request: EngineRequest, now: float) -> None:
        """The engine's door; `now` never falls, and `advance` has told of all before it."""
        self._move(now)
        self._arrivals += 1
        prompt = sum(message.tokens for message in request.prompt)
        one = _Request(request, self._arrivals, self.prefilled, prompt)
        self._requests[request.rid] = one
        heapq.heappush(self._coming, (now + self.spec.request_overhead_s, one.arrived, one))
        self._take_arrivals()

    def abort(self, rid: str, now: float) -> None:
        """Its work ends at once, and nothing more is told of it. Unknown ids are ignored."""
        self._move(now)
        one = self._requests.pop(rid, None)
        if one is None:
            return
        if one.state == "waiting":
            self._waiting.remove(one)
        elif one.state in ("prefill", "decode"):
            self._leave(one)
        one.state = "over"
        self._schedule()

    # -- time ---------------------------------------------------------------------------------------------

    def next_event(self) -> float | None:
        """When something happens next, if nothing is submitted."""
        moments = [self._coming[0][0]] if self._coming else []
        if self._batch:
            moments.append(self._batch_ends)
        elif (mark := self._next_mark()) is not None:
            moments.append(self.now + max(0.0, mark - self._counter) / self._rate())
        return min(moments, default=None)

    def advance(self, now: float) -> list[Began | Reached]:
        """Everything up to `now`, in order."""
        while (at := self.next_event()) is not None and at <= now:
            self._move(at)
            if self._batch and self._batch_ends <= at:
                self._end_batch()
            elif not self._batch:
                self._reach()
            self._take_arrivals()
        self._move(now)
        told, self._told = self._told, []
        return told

    def _rate(self) -> float:
        return self.spec.decode_rate(len(self._decoding))

    def _move(self, now: float) -> None:
        """Time passes in which nothing happens. Running requests wait while prompts are prefilled."""
        if not self._batch and self._decoding:
            self._counter += (now - self.now) * self._rate()
        self.now = now

    def _take_arrivals(self) -> None:
        came = False
        while self._coming and self._coming[0][0] <= self.now:
            one = heapq.heappop(self._coming)[2]
            if one.state == "coming":
                one.state = "waiting"
                self._waiting.append(one)
                came = True
        if came:
            self._schedule()

    # -- prefill ------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Between two batches: take what may be taken, and begin to prefill it."""
        if self._batch:
            return
        self._hold_output()
        self._admit()
        left = self.spec.chunk_tokens
        for one in self._prefilling:
            part = min(one.left, left)
            self._batch.append((one, part))
            left -= part
            if not left:
                break
        if self._batch:
            tokens = sum(part for _, part in self._batch)
            self._batch_ends = self.now + tokens / self.spec.prefill_tokens_per_s

    def _admit(self) -> None:
        for one in ordered(self.spec.policy, tuple(self._waiting), self._cached, self.prefilled):
            full = self.running >= self.spec.max_running_requests
            if full and not self._preempt(one):
                return
            if self.running and not self._fits(one):
                return
            self._waiting.remove(one)
            self._begin(one)

    def _cached(self, one: _Request) -> int:
        return self.cache.cached(one.request.prompt)

    def _fits(self, one: _Request) -> bool:
        """What it misses, and what it and the running ones may still write."""
        missing = one.prompt_tokens - self._cached(one) + round(one.written)
        return missing + self.spec.reserve_tokens * (self.running + 1) <= self.cache.room

    def _begin(self, one: _Request) -> None:
        """All of its prompt has its place in memory from now on."""
        cached = self.cache.lock(one.request.prompt)
        self.cache.extend(one.request.prompt)
        again = round(one.written)
        one.left = max(1, one.prompt_tokens - cached + again)  # the last token is always computed
        one.state = "prefill"
        self._prefilling.append(one)
        self.prompted += one.prompt_tokens
        self._told.append(Began(one.request.rid, self.now, cached))
        self._hold_output()

    def _preempt(self, one: _Request) -> bool:
        """Under `priority`, the least urgent running request gives its place up."""
        if self.spec.policy != "priority" or not self._decoding:
            return False
        least = min(self._decoding, key=lambda other: (other.priority, -other.arrived))
        if one.priority - least.priority <= self.spec.preemption_threshold:
            return False
        self._retract(least)
        return True

    def _end_batch(self) -> None:
        batch, self._batch = self._batch, []
        for one, part in batch:
            self.prefilled += part
            one.left -= part
            if one.state == "prefill" and not one.left:
                self._prefilling.remove(one)
                self._start_decoding(one)
        self._schedule()

    # -- decoding -----------------------------------------------------------------------------------------

    def _start_decoding(self, one: _Request) -> None:
        """Prefill gives one token by itself."""
        one.written, one.base = one.written + 1, self._counter
        one.state = "decode"
        self._decoding.append(one)
        self._leads += one.lead
        self._pass_marks(one)

    def _next_mark(self) -> float | None:
        due = self._due
        while due and (due[0][3].state != "decode" or due[0][2] != due[0][3].mark or self._stale(due[0])):
            heapq.heappop(due)
        return due[0][0] if due else None

    @staticmethod
    def _stale(entry: tuple[float, int, int, _Request]) -> bool:
        """It was entered before its request gave its place up."""
        due, _, mark, one = entry
        return due != one.request.marks[mark] - one.lead

    def _reach(self) -> None:
        """The marks that are reached now."""
        while (mark := self._next_mark()) is not None and mark <= self._counter + EPSILON:
            one = heapq.heappop(self._due)[3]
            self._leads -= one.lead
            one.written, one.base = float(one.request.marks[one.mark]), self._counter
            self._leads += one.lead
            self._pass_marks(one)
        self._schedule()

    def _pass_marks(self, one: _Request) -> None:
        marks = one.request.marks
        while one.mark < len(marks) and marks[one.mark] <= one.written + EPSILON:
            one.mark += 1
            self._told.append(Reached(one.request.rid, one.mark - 1, self.now, one.mark == len(marks)))
        if one.mark < len(marks):
            due = marks[one.mark] - one.lead
            heapq.heappush(self._due, (due, one.arrived, one.mark, one))
        else:
            self._finish(one)

    def _finish(self, one: _Request) -> None:
        """Its prompt and reply stay in memory for whoever comes next with them."""
        del self._requests[one.request.rid]
        self._decoding.remove(one)
        self._leads -= one.lead
        one.state = "over"
        self._hold_output()
        prompt = (*one.request.prompt, Message(one.request.reply, one.request.kept or one.request.marks[-1]))
        self.cache.extend(prompt)
        self.cache.unlock(prompt)

    # -- memory -------------------------------------------------------------------------------------------

    def _hold_output(self) -> None:
        """What running requests have written by now takes room, if need be that of others."""
        self.cache.private = self.output_held
        while not self.cache.make_room(0) and len(self._decoding) > 1:
            self._retract(min(self._decoding, key=lambda one: (self._counter + one.lead, -one.prompt_tokens)))

    def _retract(self, one: _Request) -> None:
        """It goes back to the queue's head, its output counting as prompt from now on: SGLang takes the one
        that has written least."""
        written = self._counter + one.lead
        self._leave(one)
        one.written = float(round(written))
        one.state = "waiting"
        self._waiting.insert(0, one)
        self.retracted += 1
        self.cache.private = self.output_held

    def _leave(self, one: _Request) -> None:
        """It gives up its place and its memory."""
        if one.state == "decode":
            self._decoding.remove(one)
            self._leads -= one.lead
        else:
            self._prefilling.remove(one)
        self.cache.unlock(one.request.prompt)
