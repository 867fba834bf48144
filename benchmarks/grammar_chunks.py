"""What the tap costs for each chunk of a stream, from the sink to the core; part of `benchmarks.grammar`.

A run is 500 chunks of one turn: `TappedSink.take` of the same chunk again and again, less the same calls of an
empty sink. The turn is a real one: admitted by a `Runtime` over a real `Core`, and closed at the end.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.grammar_timing import Cell, Work, take_times
from paste_proxy.clock import SystemClock
from paste_proxy.config import Config
from paste_proxy.core import Core
from paste_proxy.events import Identity
from paste_proxy.grammar import formats
from paste_proxy.grammar.dialects import Api, TextReader, chat, stream_reader
from paste_proxy.grammar.raw_tap import RawTap
from paste_proxy.grammar.requests import RequestTool, parse_request
from paste_proxy.grammar.sse import SseDecoder
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.predictor import PatternPredictor
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.http1 import ReplyHead
from paste_proxy.proxy.rewrite import CallsRewriter, EventsRewriter, RewritingSink
from paste_proxy.proxy.rewrite_calls import CallWriter
from paste_proxy.proxy.rewrite_logprobs import LogprobStripper
from paste_proxy.proxy.tap import Failures, Tap, TappedSink
from paste_proxy.proxy.upstream import Sink
from paste_proxy.runtime import Runtime
from paste_proxy.tools.loading import load_plugins
from paste_proxy.tools.local import LocalExecutor
from paste_proxy.tools.table import ToolTable
from paste_proxy.turn_handle import TurnHandle

CHUNKS = 500
"""Of one run: two milliseconds, so that most runs are not interrupted."""
ROUNDS = 200
RECORDINGS = Path(__file__).parents[1] / "tests" / "grammar" / "dialects" / "recordings"

_HEAD = '"id":"3cb2354fee4b4a9abfd3b503ac2f0e09","object":"chat.completion.chunk","created":1795535475'
_CHOICE = '"model":"tiny","choices":[{"index":0,"delta":'
_ENDS = '"logprobs":null,"finish_reason":null,"matched_stop":null}]'
_DELTA = '{"role":null,"content":" word","reasoning_content":null,"tool_calls":null}'
CONTENT = f'{{{_HEAD},{_CHOICE}{_DELTA},{_ENDS},"usage":null}}'
"""Of SGLang 0.5.23 where the request offers tools, as an agent's does."""
CONTENT_WITHOUT_TOOLS = f'{{{_HEAD},{_CHOICE}{{"reasoning_content":null,"content":" word"}},{_ENDS}}}'
CONTENT_OF_VLLM = (
    f'{{{_HEAD},{_CHOICE}{{"content":" word"}},"logprobs":null,"finish_reason":null,"token_ids":null}}]}}'
)
_LOGPROB = '{"token":" word","bytes":[32,119,111,114,100],"logprob":-0.5,"top_logprobs":[]}'
CONTENT_WITH_LOGPROBS = CONTENT.replace('"logprobs":null', f'"logprobs":{{"content":[{_LOGPROB}]}}')
CONTENT_OF_RESPONSES = (
    '{"type":"response.output_text.delta","content_index":0,"delta":" word","item_id":"msg_a867624c",'
    '"logprobs":[],"output_index":0,"sequence_number":5}'
)
TOOLS = (RequestTool("read_file", {"type": "object", "properties": {"path": {"type": "string"}}}),)
REQUEST = {
    "model": "tiny",
    "stream": True,
    "messages": [{"role": "user", "content": "Find it."}],
    "tools": [{"type": "function", "function": {"name": "read_file", "parameters": TOOLS[0].parameters}}],
}


class _Nowhere:
    """A sink that costs what a call costs."""

    def take(self, data: bytes) -> bool:
        return True

    async def drain(self) -> None:
        pass


class Bench:
    """A turn of a real core, and taps that tell of it."""

    def __init__(self, runtime: Runtime, turn: TurnHandle) -> None:
        self._runtime = runtime
        self._turn = turn.turn
        self.counters = RelayCounters()

    @classmethod
    async def open(cls) -> "Bench":
        core = Core(ToolTable(), Config(), PatternPredictor(Ledger()))
        runtime = Runtime(core, LocalExecutor(load_plugins(()), workers=1), SystemClock())
        request = parse_request(Api.CHAT, json.dumps(REQUEST).encode())
        return cls(runtime, await runtime.admit(Identity(), request))

    def tap(self, api: Api = Api.CHAT, text: TextReader | None = None) -> Tap:
        """At the beginning of the reply."""
        turn = TurnHandle(self._runtime, self._turn)
        tap = Tap(turn, self.counters, Failures(self.counters), 1 << 24, api, TOOLS)
        tap.aim(lambda: text)
        fields = ((b"content-type", b"text/event-stream; charset=utf-8"),)
        tap.opened(ReplyHead(200, b"OK", fields, chunked=True, length=None, keep_alive=True))
        return tap

    def check(self, events: int) -> None:
        """Raises if a run was not read."""
        if self.counters.tap_failures or self.counters.events < events:
            raise SystemExit(f"the chunks were not read: {self.counters}")


def plain(bench: Bench, api: Api = Api.CHAT) -> Sink:
    return TappedSink(_Nowhere(), bench.tap(api))


def observed(bench: Bench) -> Sink:
    """Calls are looked for in the content."""
    text = formats.TextReader(formats.find("hermes"), None, TOOLS, in_text=True)
    return TappedSink(_Nowhere(), bench.tap(text=text))


def raw_tapped(bench: Bench) -> Sink:
    """`raw_tap: logprobs`, put together as `proxy.opt_ins` does."""
    tap, stripper = bench.tap(), LogprobStripper()
    raw = RawTap(formats.TextReader(formats.find("hermes"), None, TOOLS), (tool.name for tool in TOOLS))
    tap.heard = raw.parsed

    def foresee() -> None:
        if text := stripper.take():
            tap.foresee(raw.raw(text))

    inner = TappedSink(_Nowhere(), tap)
    return RewritingSink(inner, EventsRewriter(stripper), Failures(bench.counters).report, foresee)


def parsed_here(bench: Bench) -> Sink:
    """`parse: proxy`."""

    def new_writer() -> CallWriter:
        return CallWriter(formats.TextReader(formats.find("hermes"), None, TOOLS))

    inner = TappedSink(_Nowhere(), bench.tap())
    return RewritingSink(inner, CallsRewriter(new_writer), Failures(bench.counters).report)


def chunk(payload: str) -> bytes:
    return f"data: {payload}\n\n".encode()


def recorded(name: str, word: bytes) -> list[bytes]:
    """The event of a recorded stream that has `word` in it first, again and again."""
    events = (RECORDINGS / name).read_bytes().split(b"\n\n")
    return [next(event for event in events if word in event) + b"\n\n"] * CHUNKS


def repeating() -> list[bytes]:
    """SGLang's `/generate` as it is by default: each event with all the text so far, here 4 characters more."""
    event = json.loads((RECORDINGS / "generate_text.sse").read_bytes().split(b"\n\n")[0][6:])
    chunks = []
    for tokens in range(1, CHUNKS + 1):
        meta = event["meta_info"] | {"completion_tokens": tokens}
        grown = event | {"text": "word" * tokens, "output_ids": [839] * tokens, "meta_info": meta}
        chunks.append(chunk(json.dumps(grown, separators=(",", ":"))))
    return chunks


def argument_chunks() -> list[bytes]:
    """A call whose one argument grows."""
    said = CONTENT.replace('"content":" word"', '"content":null')
    call = '{"id":null,"index":0,"type":"function","function":{"name":null,"arguments":"word"}}'
    opening = call.replace('"id":null', '"id":"call_06b8"').replace('"name":null', '"name":"read_file"')
    calls = [opening.replace('"word"', '"{\\"path\\":\\""'), *[call] * (CHUNKS - 1)]
    return [chunk(said.replace('"tool_calls":null', f'"tool_calls":[{one}]')) for one in calls]


def cells(bench: Bench) -> dict[str, Cell]:
    content = [chunk(CONTENT)] * CHUNKS
    streams: dict[str, tuple[Callable[[], Sink], list[bytes]]] = {
        "empty sink": (_Nowhere, content),
        "chat": (partial(plain, bench), content),
        "chat, without tools": (partial(plain, bench), [chunk(CONTENT_WITHOUT_TOOLS)] * CHUNKS),
        "chat, vLLM": (partial(plain, bench), [chunk(CONTENT_OF_VLLM)] * CHUNKS),
        "chat, an argument": (partial(plain, bench), argument_chunks()),
        "chat, two in one": (partial(plain, bench), [chunk(CONTENT) * 2] * (CHUNKS // 2)),
        "chat, hermes in the content": (partial(observed, bench), content),
        "chat, raw_tap: logprobs": (partial(raw_tapped, bench), [chunk(CONTENT_WITH_LOGPROBS)] * CHUNKS),
        "chat, parse: proxy": (partial(parsed_here, bench), content),
        "responses": (
            partial(plain, bench, Api.RESPONSES),
            [b"event: response.output_text.delta\n" + chunk(CONTENT_OF_RESPONSES)] * CHUNKS,
        ),
        "messages": (
            partial(plain, bench, Api.MESSAGES),
            recorded("messages_text.sse", b" introduced"),
        ),
        "completions": (
            partial(plain, bench, Api.COMPLETIONS),
            recorded("completions_text.sse", b'"text":"on"'),
        ),
        "generate": (partial(plain, bench, Api.GENERATE), repeating()),
    }
    return {name: Cell(CHUNKS, partial(_run, *stream)) for name, stream in streams.items()}


def _run(new_sink: Callable[[], Sink], chunks: Sequence[bytes]) -> Work:
    take = new_sink().take

    def work() -> None:
        for data in chunks:
            take(data)

    return work


def parts() -> dict[str, Cell]:
    """The steps of an ordinary chunk's way, each by itself."""
    data = chunk(CONTENT)
    return {
        "framing": _repeated(lambda: SseDecoder().feed, data),
        "decoding": _repeated(lambda: chat._decode, data[6:-2]),
        "reader": _repeated(lambda: stream_reader(Api.CHAT).feed, data),
    }


def _repeated(new_step: Callable[[], Callable[[bytes], object]], data: bytes) -> Cell:
    def prepare() -> Work:
        step = new_step()

        def work() -> None:
            for _ in range(CHUNKS):
                step(data)

        return work

    return Cell(CHUNKS, prepare)


async def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Figures of `us_per_content_chunk`, of its parts, and of all other chunks."""
    bench = await Bench.open()
    all_cells = cells(bench)
    times = take_times(all_cells | parts(), rounds=rounds)
    bench.check(rounds * CHUNKS * (len(all_cells) - 2))
    us = {name: figure.scaled(1e6) for name, figure in times.items()}
    empty, reader = us["empty sink"], us["reader"]
    per_chunk = {name: us[name].less(empty) for name in all_cells if name != "empty sink"}
    return {
        "us_per_content_chunk": per_chunk["chat"],
        "us_per_part": {
            "framing": us["framing"],
            "decoding": us["decoding"],
            "events": reader.less(us["framing"]).less(us["decoding"]),
            "tap and core": per_chunk["chat"].less(reader),
        },
        "us_per_chunk": per_chunk,
    }
