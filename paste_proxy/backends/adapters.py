"""The kinds of backend, as data."""

from collections.abc import Callable

import msgspec

from paste_proxy.backends import sglang, vllm
from paste_proxy.backends.reading import LoadSource, ServerInfo
from paste_proxy.grammar.apis import Api
from paste_proxy.schedule.backends import PriorityBand


class Backend(msgspec.Struct, frozen=True):
    """What a kind of backend understands beyond OpenAI's API."""

    name: str
    rid_keys: dict[Api, str] = {}
    """Where requests may carry an id of ours, for `abort_path`; other APIs have no place for one."""
    abort_path: str = ""
    """POST with `abort_key` there ends a request; empty: only a closed connection does."""
    abort_key: str = "rid"
    abort_names: dict[Api, str] = {}
    """What the engine makes of `x-request-id`, in the place of `{}`, and takes a list of; instead of
    `rid_keys`."""
    abort_if_there: bool = False
    """Not every server of this kind has `abort_path`."""
    priority_keys: dict[Api, str] = {}
    """Where requests may carry a priority."""
    priority_headers: tuple[str, ...] = ()
    """Header fields that would go before it."""
    priority_header: str = ""
    """The one that carries it for APIs that have no place for it."""
    lower_first: bool = False
    """How it counts priorities, as long as it has not said."""
    vouched_band: PriorityBand | None = None
    """To be used where the operator vouches for priorities that can't be verified."""
    priority_advice: str = ""
    """How to come to priorities that can be verified."""
    session_keys: dict[Api, str] = {}
    """Where requests may name their session, so that its cache outlives others'."""
    session_end_path: str = ""
    info_paths: tuple[str, ...] = ()
    """Where it says how it was started; the first that answers counts."""
    info_patience_s: float = 0.0
    """It is known to take so long to say that."""
    read_info: Callable[[bytes], ServerInfo | None] = lambda _: None
    loads: tuple[LoadSource, ...] = ()
    """What may tell its load; the first that does counts. None: our own accounting is all there is."""
    tells_tokens: bool = False
    """`logprobs: true` makes a chat stream tell every token as it is made, also what a parser holds back."""
    key_header: str = ""
    """Where alone it looks for its key; empty: where clients of the API in question put theirs."""
    probe_path: str = "/v1/models"
    """A question that costs it nothing. Any answer but 5xx says that it is there."""
    says_parsers: bool = False
    """`/model_info` says which parsers the engine runs."""


OPENAI = Backend(name="openai", priority_advice="an OpenAI API knows none: use SGLang or vLLM")

# SGLang 0.5.23: a streaming request is aborted when its connection closes; one that does not stream
# is looked at every 4 s only, so it is aborted by id as well (entrypoints/http_server.py). Its Messages API has
# no place for an id, a priority or a session.
SGLANG = Backend(
    name="sglang",
    rid_keys={
        Api.CHAT: "rid",
        Api.RESPONSES: "request_id",
        Api.COMPLETIONS: "rid",
        Api.GENERATE: "rid",
    },
    abort_path="/abort_request",
    priority_keys=dict.fromkeys((Api.CHAT, Api.RESPONSES, Api.COMPLETIONS, Api.GENERATE), "priority"),
    priority_headers=("x-override-priority",),
    vouched_band=sglang.VOUCHED,
    priority_advice="let paste-proxy read /server_info: see backend.key",
    session_keys=dict.fromkeys((Api.CHAT, Api.RESPONSES, Api.COMPLETIONS, Api.GENERATE), "session_id"),
    session_end_path="/close_session",
    info_paths=("/server_info", "/get_server_info"),
    read_info=sglang.read_server_info,
    loads=sglang.LOADS,
    tells_tokens=True,
    key_header="authorization",
    probe_path="/ready",
    says_parsers=True,
)

# vLLM 0.33: a closed connection ends a request at once, streaming or not; what ends one by its id is there with
# `--enable-scale-out` only. `x-request-id` goes before an id in the body, and so does the priority's field.
VLLM = Backend(
    name="vllm",
    abort_path="/inference/v1/abort_requests",
    abort_key="request_ids",
    abort_names={Api.CHAT: "chatcmpl-{}", Api.MESSAGES: "chatcmpl-{}", Api.COMPLETIONS: "cmpl-{}-0"},
    abort_if_there=True,
    priority_keys=dict.fromkeys((Api.CHAT, Api.RESPONSES, Api.COMPLETIONS), "priority"),
    priority_headers=("x-vllm-priority",),
    priority_header="x-vllm-priority",
    lower_first=True,
    vouched_band=vllm.BAND,
    priority_advice=vllm.UNVERIFIED,
    info_paths=("/server_info?config_format=json",),
    info_patience_s=60.0,  # asked first, it runs a dozen programs to describe its machine
    read_info=vllm.read_server_info,
    loads=vllm.LOADS,
    key_header="authorization",
)

BY_KIND = {"openai": OPENAI, "sglang": SGLANG, "vllm": VLLM}
