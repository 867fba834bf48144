"""What a request says of its sending: how long its client waits, and whether it asked before.

SDKs made with Stainless (OpenAI's and Anthropic's among them) send both: `x-stainless-read-timeout` and
`x-stainless-timeout` in seconds, `x-stainless-retry-count` from 0. The second is `NOT_GIVEN` where only the
client has a timeout (Anthropic's for Python, 2.13), and neither comes where there is none. Anybody may send
an `Idempotency-Key`. What can't be read says nothing: nobody is refused for it.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b

from paste_proxy.events import Attempt

TIMEOUTS = ("x-stainless-read-timeout", "x-stainless-timeout")
COUNT = "x-stainless-retry-count"
KEY = "idempotency-key"

KEY_LIMIT = 256
"""Characters of a key that is kept as it is; SDKs make UUIDs. A longer one is kept as its digest."""
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_COUNT = re.compile(r"[0-9]{1,4}")


def attempt_of(headers: Mapping[str, str]) -> Attempt:
    """`headers`: names in any case."""
    said = [seconds for name in TIMEOUTS if (seconds := _seconds(headers.get(name, ""))) > 0]
    count = headers.get(COUNT, "").strip()
    number = int(count) if _COUNT.fullmatch(count) else 0
    return Attempt(min(said, default=0.0), number, _key(headers.get(KEY, "").strip()))


def _seconds(text: str) -> float:
    text = text.strip()
    return float(text) if _SECONDS.fullmatch(text) else 0.0


def _key(text: str) -> str:
    if len(text) > KEY_LIMIT:
        return "blake2b:" + blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return text
