"""The kinds of backend, as data."""

import msgspec

from paste_proxy.grammar.apis import Api


class Backend(msgspec.Struct, frozen=True):
    """What a kind of backend understands beyond OpenAI's API."""

    name: str
    rid_keys: dict[Api, str] = {}
    """Where requests may carry an id of ours, for `abort_path`; other APIs have no place for one."""
    abort_path: str = ""
    """POST {"rid": ...} there ends that request; empty: only a closed connection does."""
    tells_tokens: bool = False
    """`logprobs: true` makes a chat stream tell every token as it is made, also what a parser holds back."""
    key_header: str = ""
    """Where alone it looks for its key; empty: where clients of the API in question put theirs."""
    says_parsers: bool = False
    """`/model_info` says which parsers the engine runs."""


OPENAI = Backend(name="openai")

# SGLang 0.5.23: a streaming request is aborted when its connection closes; one that does not stream
# is looked at every 4 s only, so it is aborted by id as well (entrypoints/http_server.py).
SGLANG = Backend(
    name="sglang",
    rid_keys={
        Api.CHAT: "rid",
        Api.RESPONSES: "request_id",
        Api.COMPLETIONS: "rid",
        Api.GENERATE: "rid",
    },
    abort_path="/abort_request",
    tells_tokens=True,
    key_header="authorization",
    says_parsers=True,
)

BY_KIND = {"openai": OPENAI, "sglang": SGLANG}
