"""`paste-proxy lab calibrate`: fits an engine model to a live server, by asking it.

Two laws are fitted. The time to the first token of a prompt that nobody sent before is an overhead and the
prompt's tokens at the prefill rate, which falls with the tokens before them. The time per token of n streams
side by side is that of one without a context, times 1 + slow-down x (n - 1) + attention x tokens in their
contexts. What a server says of its memory and its limits is SGLang's `/server_info`.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from paste_proxy.errors import LabError
from paste_proxy.lab.engine.spec import EngineSpec

TIMEOUT_S = 600.0
"""Of one request; a small machine takes its time with sixteen streams."""
CHUNK = 8192
"""Tokens of one prefill where the server does not say: SGLang's own on many GPUs."""
KV_TOKENS, RUNNING = 900_000, 48
"""Where the server does not say: the preset `research`, and it is said in the model's source."""


class ServerInfo(msgspec.Struct, frozen=True):
    """What of SGLang's `/server_info` is of use (0.5.23)."""

    max_total_num_tokens: int | None = None
    max_running_requests: int | None = None
    chunked_prefill_size: int | None = None
    schedule_policy: str = "fcfs"
    stream_interval: int = 1
    disable_radix_cache: bool = False


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int


class _Chunk(msgspec.Struct):
    choices: list[msgspec.Raw] = []
    usage: _Usage | None = None


class Stream(msgspec.Struct, frozen=True):
    """One streamed reply: seconds since the request, and tokens."""

    first_s: float
    last_s: float
    prompt: int
    output: int

    @property
    def token_s(self) -> float:
        return (self.last_s - self.first_s) / max(1, self.output - 1)


class Effort(msgspec.Struct, frozen=True):
    """What is asked."""

    prompts: tuple[int, int, int] = (64, 512, 2048)
    """Words of the prompts, two to three tokens each: short, middling, long. Three fix a curve."""
    rounds: int = 5
    """Of each measurement; medians count."""
    output: int = 96
    """Tokens per stream: long beside the first one's noise."""
    streams: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Side by side, as far as the server runs so many at once."""


FULL = Effort()

Asking = Callable[[int], Mapping[str, Any]]
"""Fields of a request for so many tokens, where what is to be modelled are requests of a kind of their own."""


def _freely(_tokens: int) -> Mapping[str, Any]:
    return {}


class Step(msgspec.Struct, frozen=True):
    """`streams` side by side, with `context` tokens in all their contexts: seconds per token of each."""

    streams: int
    context: float
    token_s: float


class Prefill(msgspec.Struct, frozen=True):
    overhead_s: float
    token_s: float
    per_context_token: float = 0.0


class Decode(msgspec.Struct, frozen=True):
    token_s: float
    per_request: float
    per_context_token: float = 0.0


class Calibration:
    """Asks one server."""

    def __init__(
        self,
        url: str,
        http: aiohttp.ClientSession,
        model: str = "",
        asking: Asking | None = None,
        effort: Effort = FULL,
    ) -> None:
        """`model` is the name that requests carry; empty: the first that the server lists."""
        self._asking = asking or _freely
        self._url = url.rstrip("/")
        self._http = http
        self._model = model
        self._effort = effort
        self._random = random.Random(time.monotonic_ns())
        """Not seeded: a prompt must be one that no earlier calibration left in the cache."""

    async def fit(self) -> EngineSpec:
        """Raises `LabError` where the server does not answer as an OpenAI-compatible one."""
        try:
            info = await self._info()
            self._model = self._model or await self._first_model()
            await self._ask(
                self._effort.prompts[0], 2
            )  # what is compiled with the first request is no part of the law
            firsts = await self._first_tokens()
            steps = await self._steps(info.max_running_requests or self._effort.streams[-1])
            far = await self._step(1, self._effort.prompts[-1])
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise LabError(f"{self._url} can't be calibrated: {reason}", param="backend") from error
        return self._spec(info, curve(firsts), decoding(steps, far))

    def _spec(self, info: ServerInfo, prefill: "Prefill", decode: "Decode") -> EngineSpec:
        unsaid = "" if info.max_total_num_tokens else "; its memory and limits are assumed"
        known = ("fcfs", "lpm", "hrrn", "shortest-prefill-first")
        return EngineSpec(
            source=f"calibrated on {time.strftime('%Y-%m-%d')} with the model {self._model}{unsaid}",
            prefill_tokens_per_s=round(1 / prefill.token_s, 1),
            decode_tokens_per_s_one_request=round(1 / decode.token_s, 2),
            decode_slowdown_per_running_request=round(decode.per_request, 4),
            decode_slowdown_per_context_token=round(decode.per_context_token, 9),
            prefill_slowdown_per_context_token=round(prefill.per_context_token, 9),
            kv_tokens=info.max_total_num_tokens or KV_TOKENS,
            max_running_requests=info.max_running_requests or RUNNING,
            prefix_cache=not info.disable_radix_cache,
            policy=info.schedule_policy if info.schedule_policy in known else "fcfs",  # type: ignore[arg-type]
            chunk_tokens=max(info.chunked_prefill_size or 0, 0) or CHUNK,  # -1: not chunked
            request_overhead_s=round(prefill.overhead_s, 4),
            stream_interval=info.stream_interval,
        )

    # -- measurements -------------------------------------------------------------------------------------

    async def _first_tokens(self) -> list[tuple[int, float]]:
        """Prompt tokens, and seconds to the first token; the medians of some rounds, interleaved."""
        effort = self._effort
        rounds = [[await self._ask(words, 1) for words in effort.prompts] for _ in range(effort.rounds)]
        return [
            (streams[0].prompt, statistics.median(stream.first_s for stream in streams))
            for streams in zip(*rounds, strict=True)
        ]

    async def _steps(self, most: int) -> list["Step"]:
        """Of streams side by side, behind short prompts."""
        counts = [count for count in self._effort.streams if count <= max(1, most)]
        return [await self._step(count, self._effort.prompts[0]) for count in counts]

    async def _step(self, count: int, words: int) -> "Step":
        streams: list[Stream] = []
        for _ in range(self._effort.rounds):
            streams += await asyncio.gather(*(self._ask(words, self._effort.output) for _ in range(count)))
        context = statistics.median(one.prompt + one.output / 2 for one in streams)
        return Step(count, count * context, statistics.median(one.token_s for one in streams))

    async def _ask(self, words: int, tokens: int) -> Stream:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": "user", "content": " ".join(self._words(words))}],
            "max_tokens": tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            "ignore_eos": True,  # SGLang and vLLM; others end when they like, and are timed to there
            "temperature": 1,
            **self._asking(tokens),
        }
        begun = time.perf_counter()
        first = last = 0.0
        usage: _Usage | None = None
        async with self._http.post(f"{self._url}/v1/chat/completions", json=body) as reply:
            if reply.status != 200:
                raise LabError(
                    f"{self._url} answers {reply.status}: {(await reply.text())[:300]}", param="backend"
                )
            async for line_ in reply.content:
                if line_.startswith(b"data: {"):
                    chunk = msgspec.json.decode(line_[6:], type=_Chunk)
                    usage = chunk.usage or usage
                    if chunk.choices:
                        last = time.perf_counter() - begun
                        first = first or last
        if usage is None:
            raise LabError(f"{self._url} tells no usage at the end of a stream", param="backend")
        return Stream(first, last, usage.prompt_tokens, usage.completion_tokens)

    def _words(self, count: int) -> Iterator[str]:
        return ("".join(self._random.choices("abcdefghijklmnopqrstuvwxyz", k=5)) for _ in range(count))

    # -- what the server says -----------------------------------------------------------------------------

    async def _info(self) -> ServerInfo:
        """Nothing, where it is no SGLang."""
        async with self._http.get(f"{self._url}/server_info") as reply:
            if reply.status != 200:
                return ServerInfo()
            said: dict[str, Any] = await reply.json()
        for state in said.get("internal_states") or ():
            said = said | {key: value for key, value in state.items() if value is not None}
        return msgspec.convert(said, ServerInfo, strict=False)

    async def _first_model(self) -> str:
        async with self._http.get(f"{self._url}/v1/models") as reply:
            if reply.status != 200:
                raise LabError(f"{self._url}/v1/models answers {reply.status}", param="backend")
            models = (await reply.json()).get("data") or [{}]
        return str(models[0].get("id", "default"))


SHORTEST_S = 1e-9
"""No token is quicker: what is fitted must be a rate."""


def curve(points: Sequence[tuple[float, float]]) -> Prefill:
    """Prompt tokens and seconds, of three prompts: overhead + token_s x n x (1 + per_context_token x n / 2).

    Where the longer prompts are not read more slowly, the least-squares line.
    """
    (n0, s0), (n1, s1), (n2, s2) = points
    first, second = (s1 - s0) / (n1 - n0), (s2 - s1) / (n2 - n1)
    bend = (second - first) / (n2 - n0)
    token_s = first - bend * (n0 + n1)
    overhead = s0 - token_s * n0 - bend * n0 * n0
    if bend <= 0 or token_s <= 0:
        token_s, overhead = statistics.linear_regression(*zip(*points, strict=True))
        return Prefill(max(0.0, overhead), max(token_s, SHORTEST_S))
    return Prefill(max(0.0, overhead), token_s, 2 * bend / token_s)


def decoding(steps: Sequence[Step], far: Step) -> Decode:
    """`steps` behind short prompts, the first of one stream; `far` is one stream behind a long one."""
    near = steps[0]
    attention_s = max(0.0, (far.token_s - near.token_s) / max(1.0, far.context - near.context))
    token_s = max(near.token_s - attention_s * near.context, SHORTEST_S)
    slower = [
        (step.streams - 1, (step.token_s - attention_s * step.context) / token_s - 1) for step in steps[1:]
    ]
    return Decode(token_s, max(0.0, through_origin(slower)), attention_s / token_s)


def through_origin(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the line through the origin and the points: least squares; 0 without points."""
    squares = sum(x * x for x, _ in points)
    return sum(x * y for x, y in points) / squares if squares else 0.0


async def calibrate(
    url: str, model: str = "", asking: Asking | None = None, effort: Effort = FULL
) -> EngineSpec:
    """Raises `LabError`."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as http:
        return await Calibration(url, http, model, asking, effort).fit()
