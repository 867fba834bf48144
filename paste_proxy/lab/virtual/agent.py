"""One agent in virtual time: the loop that everybody writes, from its first request to its last reply.

Its model's reply reaches the production grammar as SGLang would stream it, one chunk where something becomes
known: by the grammar's invariance under cuts that equals any finer stream.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Protocol

import msgspec

from paste_proxy.events import AnswerCall, CallRequested, FailCall, Identity, TurnSent
from paste_proxy.gateway.wire import error_result
from paste_proxy.grammar.dialects import Api, stream_reader
from paste_proxy.grammar.digests import extend_chain, message_digest
from paste_proxy.grammar.reply import StreamReader
from paste_proxy.grammar.requests import ChatRequest, Message, MessageCall
from paste_proxy.lab.engine.cache import Message as Prompt
from paste_proxy.lab.engine.requests import Began, EngineRequest, Reached
from paste_proxy.lab.virtual.fleet import Fleet
from paste_proxy.lab.virtual.shell import RunSpan, Shell, arguments_text
from paste_proxy.lab.virtual.time import VirtualTime
from paste_proxy.lab.virtual.world import Answered, Said, SaidCall, Saying, Script, World
from paste_proxy.lab.wire import DONE, Reply, usage
from paste_proxy.turn_handle import PIECE, TurnHandle


class TurnSpan(msgspec.Struct, frozen=True):
    """One turn: asked, admitted by our queue, begun by the engine, first token, last token."""

    asked: float
    admitted: float
    begun: float
    first: float
    end: float


class CallSpan(msgspec.Struct, frozen=True):
    """One call as the agent waited for it."""

    tool: str
    arguments: str
    """See `shell.arguments_text`."""
    start: float
    end: float
    outcome: str
    service_s: float
    saved_s: float


class TaskTrack(msgspec.Struct):
    """One task of one run."""

    task: str
    start: float
    end: float = 0.0
    turns: list[TurnSpan] = []
    calls: list[CallSpan] = []
    runs: Sequence[RunSpan] = ()
    """Of its tools, in the order in which they were started."""
    transcript: bytes = b""
    """Digest of all its messages."""

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def queue_s(self) -> float:
        """What it waited for its beginning, and its turns for a place, with us and in the engine."""
        return self.turns[0].asked - self.start + sum(turn.begun - turn.asked for turn in self.turns)

    @property
    def held(self) -> list[float]:
        """What its turns waited before they went to the engine, of those that did."""
        return [turn.admitted - turn.asked for turn in self.turns if turn.admitted > turn.asked]

    @property
    def model_s(self) -> float:
        """In which the engine worked for its turns."""
        return sum(turn.end - turn.begun for turn in self.turns)

    @property
    def exposed_s(self) -> float:
        """Time in which it waited for tools, and for nothing else: calls of one turn run side by side."""
        waited, until = 0.0, float("-inf")
        for call in sorted(self.calls, key=lambda call: call.start):
            waited += max(0.0, call.end - max(call.start, until))
            until = max(until, call.end)
        return waited


class Site(Protocol):
    """Where agents live."""

    time: VirtualTime
    shell: Shell
    fleet: Fleet
    world: World


class Door(Protocol):
    """What another proxy than ours does with the turns of tasks, before they reach it."""

    def ask(self, task: str, tokens: int, shared: int, go: Callable[[], None]) -> None:
        """A turn of so many prompt tokens, the first `shared` of which all tasks have. `go` sends it on."""

    def replied(self, task: str, tokens: int) -> None:
        """The turn has ended, with so many tokens of prompt and reply."""

    def over(self, task: str) -> None:
        """No turn of the task is to come."""


class Open:
    """`Door`: none at all."""

    def ask(self, task: str, tokens: int, shared: int, go: Callable[[], None]) -> None:
        go()

    def replied(self, task: str, tokens: int) -> None: ...

    def over(self, task: str) -> None: ...


class Agent:
    """Runs a script from `begin` on; `done` is called with its track when it is over."""

    def __init__(
        self,
        script: Script,
        site: Site,
        done: Callable[[TaskTrack], None],
        *,
        door: Door | None = None,
        tenant: str = "default",
    ) -> None:
        self._script = script
        self._site = site
        self._done = done
        self._door = door or Open()
        self._identity = Identity(tenant=tenant, session=script.task)
        self._messages: list[Message] = []
        self._chain: list[bytes] = []
        self._prompt: list[Prompt] = []
        self._track = TaskTrack(script.task, site.time.now)
        self._turns = 0
        for said in script.opening:
            self._add(_message(said), said.tokens)

    def begin(self) -> None:
        self._ask()

    # -- the model ----------------------------------------------------------------------------------------

    def _ask(self) -> None:
        asked = self._site.time.now
        self._door.ask(self._script.task, self._tokens, self._prompt[0].tokens, lambda: self._request(asked))

    def _request(self, asked: float) -> None:
        self._turns += 1
        turn = f"{self._script.task}/{self._turns}"
        request = ChatRequest(
            messages=tuple(self._messages),
            chain=tuple(self._chain),
            body_digest=self._chain[-1],
            tools=self._script.offered,
            model="lab",
            stream=True,
        )
        self._site.shell.admit(turn, self._identity, request, lambda: self._send(turn, asked))

    def _send(self, turn: str, asked: float) -> None:
        self._site.shell.tell(TurnSent(turn))
        saying = self._script.next_turn()
        reply = _assistant(saying)
        handle = TurnHandle(self._site.shell, turn)  # type: ignore[arg-type]
        prompt_tokens = sum(message.tokens for message in self._prompt)
        following = _Following(self, handle, saying, reply, asked, prompt_tokens)
        request = EngineRequest(
            rid=turn,
            prompt=tuple(self._prompt),
            marks=following.marks,
            reply=extend_chain(self._chain[-1], reply.digest),
            session=self._script.task,
            kept=saying.kept,
        )
        self._site.fleet.submit(self._script.task, request, following.told)

    def heard(self, saying: Saying, reply: Message, span: TurnSpan) -> None:
        """The reply is complete. What the agent does then comes after what has begun by itself: it is another
        process."""
        self._track.turns.append(span)
        self._add(reply, saying.kept or saying.tokens)
        self._door.replied(self._script.task, self._tokens)
        if saying.calls:
            self._site.shell.warmer.left(self._script.task, self._prompt)
            self._site.time.after(0.0, lambda: _Calls(self, saying.calls, self._turns).begin())
        else:
            self.answered([])

    def _end(self) -> None:
        self._door.over(self._script.task)
        self._track.end = self._site.time.now
        self._track.transcript = self._chain[-1]
        self._track.runs = self._site.shell.take_spans(self._script.task)
        self._done(self._track)

    # -- its tools ----------------------------------------------------------------------------------------

    def call(self, call: SaidCall, number: str, answered: Callable[[Answered], None]) -> None:
        start = self._site.time.now

        def done(decision: AnswerCall | FailCall) -> None:
            text, tokens = self._result(call, decision)
            self._track.calls.append(_span(call, start, self._site.time.now, decision))
            answered(Answered(call, text, tokens))

        event = CallRequested(
            call=f"{self._script.task}/{number}",
            identity=self._identity,
            tool=call.tool,
            arguments=call.arguments.encode(),
            tool_call_id=call.call_id,
        )
        self._site.shell.call(event, done)

    def _result(self, call: SaidCall, decision: AnswerCall | FailCall) -> tuple[str, int]:
        """The text that goes into the history, and what it counts."""
        if isinstance(decision, FailCall):
            text = msgspec.json.encode(error_result(decision.error)).decode()
            return text, max(1, len(text) // 4)
        text = decision.output.body.decode()
        return text, self._site.world.tokens(call.tool, msgspec.json.decode(call.arguments), text)

    def answered(self, answers: list[Answered]) -> None:
        for answer in answers:
            said = Said("tool", answer.text, answer.tokens, answer.call.call_id)
            self._add(_message(said), said.tokens)
        self._script.answered(answers)
        if self._script.over:
            self._end()
            return
        for said in self._script.interlude():
            self._add(_message(said), said.tokens)
        self._site.time.after(self._script.pause(), self._ask)

    def _add(self, message: Message, tokens: int) -> None:
        chain = extend_chain(self._chain[-1] if self._chain else b"", message.digest)
        self._messages.append(message)
        self._chain.append(chain)
        self._prompt.append(Prompt(chain, tokens))

    @property
    def _tokens(self) -> int:
        return sum(message.tokens for message in self._prompt)

    @property
    def site(self) -> Site:
        return self._site


class _Calls:
    """The calls of one turn, run side by side."""

    def __init__(self, agent: Agent, calls: tuple[SaidCall, ...], turn: int) -> None:
        self._agent = agent
        self._calls = calls
        self._turn = turn
        self._answers: list[Answered | None] = [None] * len(calls)
        self._left = len(calls)

    def begin(self) -> None:
        for number, call in enumerate(self._calls):
            self._agent.call(call, f"{self._turn}.{number}", partial(self._take, number))

    def _take(self, number: int, answer: Answered) -> None:
        self._answers[number] = answer
        self._left -= 1
        if not self._left:
            self._agent.answered([one for one in self._answers if one is not None])


class _Following:
    """One reply as it comes."""

    def __init__(
        self, agent: Agent, handle: TurnHandle, saying: Saying, reply: Message, asked: float, prompt_tokens: int
    ) -> None:
        self._agent = agent
        self._prompt_tokens = prompt_tokens
        self._handle = handle
        self._saying = saying
        self._reply = reply
        self._asked = asked
        self._admitted = self._begun = agent.site.time.now
        self._first = 0.0
        self._cached = 0
        self._reader: StreamReader = stream_reader(Api.CHAT)
        chunks: dict[int, bytes] = {}
        for after, chunk in stream_of(saying):
            chunks[after] = chunks.get(after, b"") + chunk
        self.marks = tuple(chunks)
        self._chunks = tuple(chunks.values())

    def told(self, event: Began | Reached) -> None:
        if isinstance(event, Began):
            self._begun, self._cached = event.at, event.cached
            return
        if not event.mark:
            self._first = event.at
        self._handle.feed(self._reader.feed(self._chunks[event.mark]))
        if event.last:
            self._handle.feed(self._reader.feed(self._end()))
            self._handle.feed(self._reader.end())
            self._handle.close(complete=True)
            span = TurnSpan(self._asked, self._admitted, self._begun, self._first, event.at)
            self._agent.heard(self._saying, self._reply, span)

    def _end(self) -> bytes:
        """As an engine that reports what it had cached."""
        counted = usage(self._prompt_tokens, self.marks[-1], self._cached)
        return Reply(id="lab", model="lab", created=0).usage(counted) + DONE


def stream_of(saying: Saying) -> Iterator[tuple[int, bytes]]:
    """What the stream says up to its usage, and after how many tokens: rising, at least 1."""
    reply = Reply(id="lab", model="lab", created=0)
    tokens, pending = 0, reply.delta(role="assistant", content="")
    yield 1, pending
    for kind, pieces in (("reasoning_content", saying.reasoning), ("content", saying.text)):
        told = 0
        for text, count in pieces:
            for begin, end in pairwise(_cuts(told, len(text))):
                after = tokens + round(count * end / len(text))
                yield max(1, after), reply.delta(**{kind: text[begin:end]})
            tokens, told = tokens + count, told + len(text)
    for index, call in enumerate(saying.calls):
        head = min(call.tokens, CALL_HEAD_TOKENS)
        yield max(1, tokens + head), reply.opened_call(call.call_id, call.tool, index)
        tokens += call.tokens
        yield max(1, tokens), reply.argument(call.arguments, index)
    finish = reply.finished("tool_calls" if saying.calls else "stop")
    yield max(1, tokens), finish


def _cuts(told: int, size: int) -> list[int]:
    """Where a text of `size` characters is cut, `told` characters into its kind: where the core is told."""
    return [0, *range(PIECE - told % PIECE, size, PIECE), *([size] if size else [])]


CALL_HEAD_TOKENS = 6
"""Tokens up to the end of a call's name: a mark, a key and a name of two or three."""


def _message(said: Said) -> Message:
    digest = message_digest(said.role, said.text, (), said.call_id)
    return Message(role=said.role, text=said.text, call_id=said.call_id, digest=digest)


def _assistant(saying: Saying) -> Message:
    calls = [(call.call_id, call.tool, call.arguments) for call in saying.calls]
    return Message(
        role="assistant",
        text=saying.content,
        calls=tuple(MessageCall(*call) for call in calls),
        digest=message_digest("assistant", saying.content, calls),
    )


def _span(call: SaidCall, start: float, end: float, decision: AnswerCall | FailCall) -> CallSpan:
    arguments = arguments_text(msgspec.json.decode(call.arguments))
    if isinstance(decision, FailCall):
        return CallSpan(call.tool, arguments, start, end, "failed", end - start, 0.0)
    saved = decision.saved_s
    return CallSpan(call.tool, arguments, start, end, decision.outcome, decision.service_s, saved)
