"""An engine in numbers. Presets with their sources are in `presets.yaml`."""

from typing import Annotated, Literal

import msgspec

PolicyName = Literal["fcfs", "lpm", "hrrn", "shortest-prefill-first", "priority"]
Rate = Annotated[float, msgspec.Meta(gt=0)]
Tokens = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class EngineSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rates are tokens per second, times are seconds."""

    source: str
    """Where the numbers come from."""
    prefill_tokens_per_s: Rate
    """All requests together."""
    decode_tokens_per_s_one_request: Rate
    decode_slowdown_per_running_request: Annotated[float, msgspec.Meta(ge=0)]
    """Each further request in the batch makes a token of every one take so much longer, as a share."""
    kv_tokens: Tokens
    max_running_requests: Tokens
    decode_slowdown_per_context_token: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Attention: each token of all contexts in the batch makes a token of every one take so much longer, as a
    share. 0 where the stated rates have it in them."""
    prefill_slowdown_per_context_token: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Attention: each token before it makes reading one take so much longer, as a share."""
    prefix_cache: bool = True
    session_tags: bool = False
    """What no session refers to is evicted before what one does (SGLang's --enable-session-radix-cache)."""
    policy: PolicyName = "fcfs"
    """SGLang's default; in which order requests leave the engine's queue."""
    chunk_tokens: Tokens = 8192
    """Of one prefill batch: SGLang's --chunked-prefill-size on GPUs of 80 GB."""
    reserve_tokens: Annotated[int, msgspec.Meta(ge=0)] = 4096
    """KV that must be free for the output of a request that begins. SGLang counts what the request may write,
    but no more than this."""
    reserve_ratio: Share = 0.098
    """Of that, what is kept for each request that decodes: where SGLang's ratio settles by itself."""
    request_overhead_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Before a request reaches the scheduler: HTTP, template, tokenizer."""
    preemption_threshold: Annotated[int, msgspec.Meta(ge=0)] = 10
    """Under `priority`, a request may take the place of one that is less urgent by more than this (SGLang's
    --priority-scheduling-preemption-threshold)."""
    stream_interval: Tokens = 1
    """Tokens per chunk of a stream, SGLang's --stream-interval."""

    def decode_rate(self, running: int, context: int = 0) -> float:
        """Tokens per second of each of `running` requests (>= 1), which have `context` tokens before them."""
        slowdown = self.decode_slowdown_per_running_request * (running - 1)
        slowdown += self.decode_slowdown_per_context_token * context
        return self.decode_tokens_per_s_one_request / (1 + slowdown)

    def prefill_s(self, tokens: int, before: int) -> float:
        """Seconds for `tokens` of a prompt of which `before` stand in memory."""
        slowdown = self.prefill_slowdown_per_context_token * (before + tokens / 2)
        return tokens * (1 + slowdown) / self.prefill_tokens_per_s
