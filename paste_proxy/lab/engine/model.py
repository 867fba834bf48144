"""One engine in virtual time: continuous batching with prefill first, chunked; decoding in step; KV memory.

Sans-IO: `submit` and `abort` at a time, `next_event` says when something happens next, `advance` up to a time
says what happened. Between events every running request decodes at the same rate, so the tokens that one has
written are a difference of two readings of one counter, and what comes next is found in a heap.

What is modelled, after SGLang 0.5.23 (`managers/scheduler.py`, `schedule_policy.py`): waiting prompts are
prefilled before running requests decode on, `chunk_tokens` in one batch; a request is admitted if its prompt
fits, beside what it and the running ones may still write; the first that does not fit closes the door until
somebody leaves; if running requests fill the memory, the one that has written least goes back to the queue.
docs/lab.md says what is not.
"""

import heapq

from paste_proxy.lab.engine.cache import RadixCache
from paste_proxy.lab.engine.policies import MATCHED_AT_MOST, looks_for_prefixes, ordered
from paste_proxy.lab.engine.requests import Began, EngineRequest, Reached, Tracked, tracked
from paste_proxy.lab.engine.spec import EngineSpec

EPSILON = 1e-6
"""Tokens: what floating-point time may be off by."""
REFRESHED_EVERY = 32
"""Looks at the queue after which SGLang marks the prefixes of waiting requests as used, unless its policy
looks for them anyway."""


class EngineModel:
    """The totals, and the numbers waiting and running, may be read at any time."""

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        self.cache = RadixCache(spec.kv_tokens, shares=spec.prefix_cache)
        self.now = 0.0
        self.prompted = 0
        """Tokens of all requests that were admitted, prompts and what was written before they gave up."""
        self.prefilled = 0
        """Of those, what was not cached."""
        self.retracted = 0
        """How often a request gave its place up."""
        self.ended = 0
        """Requests that reached their end."""
        self._arrivals = 0
        self._told: list[Began | Reached] = []
        """What happened, and was not asked for yet."""
        self._requests: dict[str, Tracked] = {}
        self._coming: list[tuple[float, int, Tracked]] = []
        """Submitted, not yet with the scheduler: a heap by time."""
        self._waiting: list[Tracked] = []
        """In the order of arrival."""
        self._full = False
        """The first in the queue found no place, and nobody has left since."""
        self._looks = 0
        self._reading: list[Tracked] = []
        """Admitted, and not prefilled yet: those of the batch under way, and one that needs another."""
        self._batch: list[tuple[Tracked, int]] = []
        """What the prefill under way reads of each."""
        self._batch_ends = 0.0
        self._decoding: list[Tracked] = []
        self._context = 0
        """Tokens that stood before what they write when they began to decode, all together."""
        self._leads = 0.0
        """Of all that decode, added up."""
        self._counter = 0.0
        """Tokens that a request would have written that decoded since the engine last stood still."""
        self._due: list[tuple[float, int, int, Tracked]] = []
        """A heap of marks, by the counter's reading at which they are reached."""

    @property
    def waiting(self) -> int:
        return len(self._waiting) + len(self._coming)

    @property
    def running(self) -> int:
        return len(self._decoding) + len(self._reading)

    @property
    def output_held(self) -> int:
        """Output tokens of running requests that are in memory."""
        decoding = len(self._decoding) * self._counter + self._leads
        return round(decoding + sum(one.written for one in self._reading))

    # -- requests -----------------------------------------------------------------------------------------

    def submit(self, request: EngineRequest, now: float) -> None:
        """The engine's door; `now` never falls."""
        self._go_on(now)
        self._arrivals += 1
        one = tracked(request, self._arrivals, self.prefilled, self.spec.stream_interval)
        self._requests[request.rid] = one
        heapq.heappush(self._coming, (now + self.spec.request_overhead_s, one.arrived, one))
        self._take_arrivals()

    def abort(self, rid: str, now: float) -> None:
        """Its work ends at once, and nothing more is told of it. Unknown ids are ignored."""
        self._go_on(now)
        self._told = [event for event in self._told if event.rid != rid]
        one = self._requests.pop(rid, None)
        if one is None:
            return
        if one.state == "waiting":
            self._waiting.remove(one)
        elif one.state in ("prefill", "decode"):
            unread = one.left if one.state == "prefill" else 0
            self._leave(one)
            if unread > 1:  # the last token is computed in any case, cached or not
                self.cache.drop_unread(one.request.prompt, one.tokens - unread)
        one.state = "over"
        self._schedule()

    def close_session(self, session: str) -> None:
        """What is kept for it may go first."""
        self.cache.release(session)

    # -- time ---------------------------------------------------------------------------------------------

    def next_event(self) -> float | None:
        """When something happens next, if nothing is submitted."""
        comes = self._coming[0][0] if self._coming else None
        if self._batch:
            own = self._batch_ends
        elif (mark := self._next_mark()) is not None:
            own = self.now + max(0.0, min(mark - self._counter, self._until_full())) / self._rate()
        else:
            return comes
        return own if comes is None or own < comes else comes

    def advance(self, now: float) -> list[Began | Reached]:
        """Everything up to `now`, in order."""
        self._go_on(now)
        told, self._told = self._told, []
        return told

    def _go_on(self, now: float) -> None:
        while (at := self.next_event()) is not None and at <= now:
            self._move(at)
            if self._batch and self._batch_ends <= at:
                self._end_batch()
            elif not self._batch:
                self._reach()
            self._take_arrivals()
        self._move(now)

    def _rate(self) -> float:
        return self.spec.decode_rate(len(self._decoding), self._context)

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

    # -- admission ----------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Between two batches: take what may be taken, and begin to prefill it."""
        if self._batch:
            return
        self._hold_output()
        left = self.spec.chunk_tokens
        for one in self._reading:  # what the last batch did not come to the end of
            left -= self._read(one, min(left, self._share_of_chunk(one)))
        if self._waiting and not (self._full and self._decoding and self.spec.policy != "priority"):
            self._admit(left)
        if self._batch:
            seconds = (self.spec.prefill_s(part, one.tokens - one.left) for one, part in self._batch)
            self._batch_ends = self.now + sum(seconds)

    def _admit(self, left: int) -> None:
        self._full = False
        self._refresh()
        reserve = self.spec.reserve_tokens
        reserved = round(reserve * self.spec.reserve_ratio * len(self._decoding))
        reserved += sum(reserve for one, part in self._batch if part == one.left)
        for one in ordered(self.spec.policy, self._waiting, self._cached, self.prefilled):
            if not left:
                return
            need = one.tokens - self.cache.locked_part(one.request.prompt) + reserve
            fits = need + reserved < self.cache.room or not self.running
            slot = self.running < self.spec.max_running_requests or (fits and self._preempt(one))
            if not fits or not slot:
                self._full = True
                return
            self._waiting.remove(one)
            self._begin(one)
            part = self._read(one, left)
            left -= part
            reserved += reserve if part == one.left else 0

    def _refresh(self) -> None:
        """Where the policy does not look for them, prefixes that are waited for count as used now and then, the
        next in the queue last."""
        if not looks_for_prefixes(self.spec.policy, len(self._waiting)):
            if not self._looks % REFRESHED_EVERY:
                for one in self._waiting[MATCHED_AT_MOST - 1 :: -1]:
                    self.cache.touch(one.request.prompt)
            self._looks += 1

    def _cached(self, one: Tracked) -> int:
        """Looking for a prefix is using it."""
        depth = self.cache.touch(one.request.prompt)
        return one.ends[depth - 1] if depth else 0

    def _begin(self, one: Tracked) -> None:
        """All of its prompt has its place in memory from now on."""
        cached = self.cache.hold(one.request.prompt)
        one.left = max(1, one.tokens - cached)  # the last token is always computed
        one.state = "prefill"
        self._reading.append(one)
        self.prompted += one.tokens
        if not one.began:
            one.began = True
            self._told.append(Began(one.rid, self.now, cached))
        self._hold_output()

    def _preempt(self, one: Tracked) -> bool:
        """Under `priority`, the least urgent running request gives its place up; of several the last one."""
        if self.spec.policy != "priority" or not self._decoding:
            return False
        least = min(self._decoding, key=lambda other: (other.priority, -other.arrived))
        if one.priority - least.priority <= self.spec.preemption_threshold:
            return False
        self._retract(least)
        return True

    # -- prefill ------------------------------------------------------------------------------------------

    def _read(self, one: Tracked, most: int) -> int:
        part = min(one.left, most)
        self._batch.append((one, part))
        return part

    def _share_of_chunk(self, one: Tracked) -> int:
        """Under `shortest-prefill-first` a long prompt leaves room in its chunks for shorter ones."""
        share = self.spec.chunk_tokens
        if self.spec.policy == "shortest-prefill-first":
            for other in ordered(self.spec.policy, self._waiting, self._cached, self.prefilled):
                work = max(1, other.tokens - self._cached(other))
                if work >= min(one.left, share):
                    break
                share -= work
        return share

    def _end_batch(self) -> None:
        batch, self._batch = self._batch, []
        for one, part in batch:
            self.prefilled += part
            one.left -= part
            if one.state == "prefill" and not one.left:
                self._reading.remove(one)
                self._start_decoding(one)
        self._schedule()

    # -- decoding -----------------------------------------------------------------------------------------

    def _start_decoding(self, one: Tracked) -> None:
        """Prefill gives one token by itself."""
        if not self._decoding:  # nothing is told in the old counter: begin anew, so that no error adds up
            self._counter, self._leads = 0.0, 0.0
            self._due.clear()
        one.context = one.tokens
        self._context += one.context
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
    def _stale(entry: tuple[float, int, int, Tracked]) -> bool:
        """It was entered before its request gave its place up."""
        due, _, mark, one = entry
        return due != one.marks[mark] - one.lead

    def _reach(self) -> None:
        """The marks that are reached now."""
        while (mark := self._next_mark()) is not None and mark <= self._counter + EPSILON:
            one = heapq.heappop(self._due)[3]
            self._leads -= one.lead
            one.written, one.base = float(one.marks[one.mark]), self._counter
            self._leads += one.lead
            self._pass_marks(one)
        self._schedule()

    def _pass_marks(self, one: Tracked) -> None:
        marks = one.marks
        while one.mark < len(marks) and marks[one.mark] <= one.written + EPSILON:
            one.mark += 1
            self._told.append(Reached(one.rid, one.mark - 1, self.now, one.mark == len(marks)))
        if one.mark < len(marks):
            due = marks[one.mark] - one.lead
            heapq.heappush(self._due, (due, one.arrived, one.mark, one))
        else:
            self._finish(one)

    def _finish(self, one: Tracked) -> None:
        """Its prompt and reply stay in memory for whoever comes next with them."""
        del self._requests[one.rid]
        self._stop_decoding(one)
        one.state = "over"
        self._full = False
        self.ended += 1
        self._hold_output()
        session = one.request.session if self.spec.session_tags else ""
        self.cache.let_go(one.request.prompt, one.reply, session)

    def _stop_decoding(self, one: Tracked) -> None:
        self._decoding.remove(one)
        self._leads -= one.lead
        self._context -= one.context

    # -- memory -------------------------------------------------------------------------------------------

    def _until_full(self) -> float:
        """Tokens that each running request may still write before one of them has to give its place up."""
        count = len(self._decoding)
        if count < 2:
            return float("inf")
        held = count * self._counter + self._leads
        return (self.spec.kv_tokens - self.cache.locked + 1 - held) / count

    def _hold_output(self) -> None:
        """What running requests have written by now takes room, if need be that of others."""
        self.cache.private = self.output_held
        while not self.cache.make_room(0) and len(self._decoding) > 1:
            self._retract(min(self._decoding, key=lambda one: (self._counter + one.lead, -one.ends[-1])))

    def _retract(self, one: Tracked) -> None:
        """It goes to the queue's end, its output counting as prompt from now on: SGLang takes the one that has
        written least, of several the one with the longest prompt."""
        written = self._counter + one.lead
        self._leave(one)
        one.written = float(round(written))
        self._arrivals += 1
        one.arrived, one.prefilled_at_arrival = self._arrivals, self.prefilled
        one.state = "waiting"
        self._waiting.append(one)
        self.retracted += 1
        self.cache.private = self.output_held

    def _leave(self, one: Tracked) -> None:
        """It gives up its place and its memory."""
        if one.state == "decode":
            self._stop_decoding(one)
        else:
            self._reading.remove(one)
        self._full = False
        self.cache.let_go(one.request.prompt)
