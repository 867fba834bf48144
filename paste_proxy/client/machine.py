"""The client's side of the connection without its socket: what it says, what becomes of calls and runs ahead.

Used by one thread only. Nothing here waits for the proxy: a call that gets no answer is run by its caller, and
what the proxy says of it later is only book-keeping. A result is given out once, to the call that the proxy
names, if it is the same tool, asked with the same values, and not too old by this side's clock.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from paste_proxy.client.alike import alike
from paste_proxy.client.calls import Ahead, Alone, Call, Host, Joined, Kept, Verdict
from paste_proxy.client.offers import Offers
from paste_proxy.client.protocol import (
    ID_LIMIT,
    MESSAGE_LIMIT,
    VERSION,
    Answer,
    Began,
    Cancel,
    Claim,
    Ended,
    FromClient,
    Hello,
    Leave,
    ProtocolError,
    RunAhead,
    Unused,
    Welcome,
    decode_from_proxy,
    encode,
)
from paste_proxy.tools.spec import Effect, ToolSpec

AHEAD_LIMIT = 64
"""Runs ahead at once, all tools together, as `limits.tool_runs` has it. How many it really is the operator's
`speculation.slots` says: this only keeps a proxy from flooding its clients."""
KEPT_LIMIT = 256
"""Results that are kept; a session has about five. The oldest goes first."""
CALLS_LIMIT = 1024
"""Calls without an answer. A proxy that leaves so many is asked nothing more until it has caught up."""


class Machine:
    def __init__(self, host: Host, name: str = "") -> None:
        self.refused: Mapping[str, str] = {}
        """Tools that can never run ahead, and why."""
        self.is_up = False
        self._host = host
        self._name = name[:ID_LIMIT]
        self.offers = Offers()
        self._greeted = False
        self._out: list[bytes] = []
        self._calls: dict[int, Call] = {}
        self._number = 0
        self._ahead: dict[str, Ahead] = {}
        self._busy: Counter[str] = Counter()
        self._ran_unseen: set[str] = set()

    # -- the connection -----------------------------------------------------------------------------------

    def offer(self, specs: Iterable[ToolSpec]) -> None:
        """These tools, too. A later one of the same name takes the place of the former."""
        self.offers.add(specs)
        if self._greeted:
            self._hello()

    def opened(self) -> None:
        self._out.clear()
        self._greeted = True
        self._hello()

    def _hello(self) -> None:
        ran, self._ran_unseen = self.offers.unseen(self._ran_unseen), set()
        self._say(Hello(VERSION, self.offers.told, self._name, ran))

    def lost(self) -> None:
        """The proxy forgets what it leased, and hears nothing more of calls: they go on without it. What has
        joined a run has it for its own."""
        self.is_up = self._greeted = False
        self._out.clear()
        owners = [run.owner for run in self._ahead.values() if run.owner is not None]
        for run in list(self._ahead.values()):
            if run.owner is None:
                self._drop(run)
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.number = 0
            self._note_unseen(call)
            if call not in owners:
                self._settle(call, Alone.ALONE)

    def received(self, frame: bytes | str, now: float) -> None:
        """Raises `ProtocolError`: the connection is then to be closed."""
        message = decode_from_proxy(frame)
        match message:
            case Welcome():
                if message.version != VERSION:
                    raise ProtocolError(f"the proxy speaks version {message.version}, this is {VERSION}")
                self.is_up, self.refused = True, message.refused
            case RunAhead():
                self._start(message, now)
            case Cancel():
                run = self._ahead.get(message.run)
                if run is not None and run.owner is None:
                    self._drop(run)
            case Answer():
                self._answer(message, now)

    def may_run_ahead(self, tool: str) -> bool:
        """As far as the proxy has said."""
        return tool in self.offers.specs and tool not in self.refused and tool not in self.offers.left_out

    def unsent(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def _say(self, message: FromClient) -> bool:
        """False for what can't be sent: no Unicode, or so large that the proxy would end the connection."""
        try:
            frame = encode(message)
        except UnicodeEncodeError:
            return False
        if fits := len(frame) <= MESSAGE_LIMIT:
            self._out.append(frame)
        return fits

    # -- calls --------------------------------------------------------------------------------------------

    def claim(self, call: Call) -> None:
        """Ask the proxy for it, if there is one; else the caller is told at once to go alone."""
        if not self.is_up or len(self._calls) >= CALLS_LIMIT:
            self._settle(call, Alone.ALONE)
            return
        self._number += 1
        claim = Claim(self._number, call.tool, call.arguments, call.tool_call_id, call.session)
        if not self._say(claim):
            self._settle(call, Alone.ALONE)
            return
        call.number = self._number
        self._calls[call.number] = call

    def leave(self, call: Call) -> None:
        """The caller has given up, and runs nothing."""
        call.waits = False
        if self._calls.pop(call.number, None) is not None:
            self._say(Leave(call.number))
        for run in [one for one in self._ahead.values() if one.owner is call]:
            run.owner = None
            self._drop(run)

    def impatient(self, call: Call) -> None:
        """The caller has begun to run the tool itself, without an answer."""
        call.waits = False

    def finished(self, call: Call, error: str | None) -> None:
        """The caller has run the tool itself; `error` where that gave no result."""
        call.waits = False
        call.ended = Ended(call.run, error)
        if call.number not in self._calls:
            self._note_unseen(call)
            if self._greeted and not call.number and call.tool in self._ran_unseen:
                self._hello()
        elif call.run:
            del self._calls[call.number]
            self._say(call.ended)

    def _answer(self, answer: Answer, now: float) -> None:
        call = self._calls.get(answer.call)
        if call is None:
            if answer.outcome in ("executed", "promoted"):
                self._say(Ended(answer.run, "the caller left"))
            else:
                self._unused(answer.run)
            return
        if answer.session:
            self._host.answered(call, answer.session)
        if answer.outcome in ("executed", "promoted"):
            self._adopt(call, answer.run)
            return
        run = self._ahead.get(answer.run)
        if run is not None and not run.is_ready:
            run.owner = call
            if call.waits:
                call.told(Joined.JOINED)
            return
        if run is None:
            self._unused(answer.run)
        if run is None and answer.outcome == "joined":
            self._settle(call, Alone.ALONE)  # it gave no result, and the proxy will say what the call is then
            return
        del self._calls[call.number]
        if run is None:
            self._settle(call, Alone.ALONE)
        else:
            del self._ahead[run.id]
            self._give(call, run, now)

    def _adopt(self, call: Call, run: str) -> None:
        """The caller runs the tool; by the proxy's books that is `run`."""
        call.run = run
        if call.ended is not None:
            del self._calls[call.number]
            self._say(msgspec.structs.replace(call.ended, run=run))
        self._settle(call, Alone.ALONE)

    def _give(self, call: Call, run: Ahead, now: float) -> None:
        spec = self.offers.specs[run.tool]
        reads = spec.effect is Effect.READ
        oldest = spec.max_age if run.max_age is None else min(spec.max_age, run.max_age)
        fresh = run.started is not None and now - run.started <= oldest
        same = (
            run.identity == call.identity
            and run.mark == call.mark
            and alike(run.arguments, call.values, spec.inert)
        )
        if not (call.waits and reads and fresh and same):
            self._unused(run.id)
        self._settle(call, Kept(run.value) if reads and fresh and same else Alone.ALONE)

    def _unused(self, run: str) -> None:
        """By the proxy's books it was a hit. Without a connection there are none of this call any more."""
        if self.is_up and run:
            self._say(Unused(run))

    def _settle(self, call: Call, verdict: Verdict) -> None:
        if call.waits:
            call.waits = False
            call.told(verdict)

    def _note_unseen(self, call: Call) -> None:
        spec = self.offers.specs.get(call.tool)
        if spec is not None and spec.writes:
            self._ran_unseen.add(call.tool)

    # -- runs ahead ---------------------------------------------------------------------------------------

    def _start(self, message: RunAhead, now: float) -> None:
        self._expire(now)
        arguments = msgspec.json.decode(message.arguments)
        reason = self._why_not(message, arguments)
        run = Ahead(message.run, message.tool, arguments, message.session)
        if not reason:
            self._ahead[run.id] = run
            self._busy[run.tool] += 1
            reason = self._host.start(run)
            if reason:
                self.ended(run, None, reason, now=now)
        elif run.id not in self._ahead:
            self._say(Ended(run.id, reason))

    def _why_not(self, message: RunAhead, arguments: Any) -> str:
        if not self.may_run_ahead(message.tool):
            return "no tool of this name runs ahead here"
        if message.run in self._ahead or not isinstance(arguments, dict):
            return "not a run"
        most = self.offers.specs[message.tool].concurrency
        return "busy" if self._busy.total() >= AHEAD_LIMIT or self._busy[message.tool] >= most else ""

    def began(self, run: Ahead, identity: object, now: float) -> None:
        """Its function is entered, for `identity`."""
        run.started, run.identity = now, identity
        if run.id in self._ahead:
            self._say(Began(run.id))

    def ended(
        self,
        run: Ahead,
        value: Any,
        error: str | None,
        *,
        now: float,
        size: int = 0,
        digest: str = "",
        output: str | None = None,
    ) -> None:
        """It has really ended; also one that was dropped."""
        self._busy[run.tool] -= 1
        if self._ahead.get(run.id) is not run:
            return
        if self.is_up and not self._say(Ended(run.id, error, size, digest, run.max_age, output)):
            self._say(Ended(run.id, error and "it failed", size, digest, run.max_age))
        owner, run.owner = run.owner, None
        if error is not None or owner is not None or self.offers.specs[run.tool].effect.prepares:
            del self._ahead[run.id]
        if error is None:
            run.value, run.is_ready = value, True
        if owner is not None and error is None:
            self._calls.pop(owner.number, None)
            self._give(owner, run, now)
        elif owner is not None:
            self._settle(owner, Alone.ALONE)
        self._make_room()

    def _drop(self, run: Ahead) -> None:
        del self._ahead[run.id]
        run.is_dropped = True
        if not run.is_ready:
            self._host.stop(run)

    def _expire(self, now: float) -> None:
        """What the proxy has forgotten to cancel."""
        for run in list(self._ahead.values()):
            too_old = run.started is not None and now - run.started > self.offers.specs[run.tool].max_age
            if run.is_ready and too_old:
                del self._ahead[run.id]

    def _make_room(self) -> None:
        ready = [run for run in self._ahead.values() if run.is_ready]
        for run in ready[: max(0, len(ready) - KEPT_LIMIT)]:
            del self._ahead[run.id]

    @property
    def kept(self) -> int:
        """Runs ahead that are under way, and results."""
        return len(self._ahead)

    @property
    def waiting(self) -> int:
        """Calls that the proxy has not closed in its books."""
        return len(self._calls)
