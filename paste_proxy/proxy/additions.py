"""What is put into a request for the engine that it goes to, and changes no reply.

An id by which it can be aborted; its priority; the name of its session. Each only where the engine was found to
have a place for it. All other bytes stay as they are.
"""

import re
import secrets
from collections.abc import Sequence

import msgspec

from paste_proxy.backends import BackendControl
from paste_proxy.errors import RequestError
from paste_proxy.events import AdmitTurn
from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.requests import ChatRequest
from paste_proxy.proxy.headers import REQUEST_ID, RequestHead
from paste_proxy.proxy.http1 import Fields

Members = Sequence[tuple[str, bytes]]
"""Keys of a JSON object and their values in JSON."""

# Python's `json.loads`, which is under SGLang and vLLM, takes more than we read: a byte order mark before an
# object, `NaN` and halves of surrogate pairs within it, UTF-16 and UTF-32.
_BEGINS = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\n\r]*\{")
_EMPTY = re.compile(rb"[ \t\n\r]*\}")


class Added(msgspec.Struct, frozen=True):
    """A request as it goes to one engine. `rid`: by which it may be aborted; empty: not by an id."""

    head: RequestHead
    body: bytes
    rid: str = ""
    names_session: bool = False


class Additions:
    """For one attempt of a turn at one engine; ids are new for each."""

    def __init__(
        self, control: BackendControl, api: Api, read: ChatRequest | None, admission: AdmitTurn
    ) -> None:
        """`read`: None for a request that can't be."""
        self._control = control
        self._kind = control.current
        self._api = api
        self._read = read
        self._admission = admission

    def to(self, head: RequestHead, body: bytes, session: str) -> Added:
        """`session`: the name under which engines know it. Raises `RequestError` for a body in which the engine
        might find the client's own priority, and that can't be given ours."""
        priority, read = self._priority(), self._read
        last: list[tuple[str, bytes]] = []
        if priority is not None:
            if key := self._priority_key(body):
                last.append((key, b"%d" % priority))
            head = msgspec.structs.replace(head, fields=self._fields(head.fields, priority, in_body=bool(key)))
        if read is None:
            return Added(head, spliced(body, [], last))
        rid, first = self._rid(head, read)
        names_session = self._names_session(read)
        if names_session:
            first.append((self._kind.session_keys[self._api], msgspec.json.encode(session)))
        return Added(head, spliced(body, first, last), rid, names_session)

    def _rid(self, head: RequestHead, read: ChatRequest) -> tuple[str, list[tuple[str, bytes]]]:
        """And what of it goes into the body. Nobody is aborted by an id that a client chose."""
        if read.choices > 1 or read.has_rid:
            return "", []
        if (key := self._kind.rid_keys.get(self._api)) is not None:
            rid = new_rid(self._api)
            return rid, [(key, b'"%b"' % rid.encode())]
        named = any(name.lower() == REQUEST_ID.encode() for name, _ in head.fields)
        if self._api in self._kind.abort_names and self._control.abort_path and not named:
            return head.request_id, []
        return "", []

    def _names_session(self, read: ChatRequest) -> bool:
        """Of agents only, which come back: what is asked once would keep its cache from them. Whoever names a
        session to the engine itself goes on doing so."""
        agents = read.tools or read.fields
        if not (self._admission.session and agents) or read.names_session:
            return False
        return self._control.abilities.session_radix and self._api in self._kind.session_keys

    def _priority(self) -> int | None:
        """None while the engine is not known to honour it: it may be another one than a moment ago."""
        return self._admission.priority if self._control.abilities.band is not None else None

    def _priority_key(self, body: bytes) -> str:
        """Empty: `body` has no place for it. What we can't read, an engine may."""
        key = self._kind.priority_keys.get(self._api, "")
        return key if key and (self._read is not None or is_object(body)) else ""

    def _fields(self, fields: Fields, priority: int, *, in_body: bool) -> Fields:
        """Without those that would go before ours; with our own where the body has no place for it."""
        others = {name.encode() for name in self._kind.priority_headers}
        kept = tuple(field for field in fields if field[0].lower() not in others)
        if not in_body and self._kind.priority_header:
            kept += ((self._kind.priority_header.encode(), b"%d" % priority),)
        return fields if kept == fields else kept


def new_rid(api: Api) -> str:
    """One random id of a fixed length per attempt: the scheduler matches ids by prefix. A response is named by
    it, and SGLang 0.5.23 goes on only from responses whose names begin so."""
    return ("resp_" if api is Api.RESPONSES else "") + secrets.token_hex(16)


def is_object(body: bytes) -> bool:
    """A lenient parser may find an object in `body`. Raises `RequestError` where it would find one in UTF-16 or
    UTF-32, whose first character has a zero byte."""
    if b"\0" in body[:4]:
        raise RequestError(
            "the request's body is no UTF-8, as JSON is (RFC 8259): send it in UTF-8", param="body"
        )
    return _BEGINS.match(body) is not None and body.rstrip(b" \t\n\r").endswith(b"}")


def spliced(body: bytes, first: Members, last: Members) -> bytes:
    """`body`, a JSON object, with more members before and behind its own; an empty one with `last` alone. Of
    two equal keys the last counts (Python's parsers, which those of SGLang and vLLM are): `last` goes before
    what the client says. Its bytes stay as they are."""
    if not first and not last:
        return body
    begin, end = body.index(b"{") + 1, body.rindex(b"}")
    before = [b'"%b":%b,' % (key.encode(), value) for key, value in first]
    behind = b",".join(b'"%b":%b' % (key.encode(), value) for key, value in last)
    comma = b"," if behind and not _EMPTY.match(body, begin) else b""
    its_own = memoryview(body)  # copied once: bodies of agents grow to megabytes
    return b"".join([its_own[:begin], *before, its_own[begin:end], comma, behind, its_own[end:]])
