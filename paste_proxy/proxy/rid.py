"""SGLang's request id, spliced into a body without touching anything else in it."""

import secrets

from paste_proxy.grammar.apis import Api


def new_rid(api: Api) -> str:
    """One random id of a fixed length per attempt: the scheduler matches ids by prefix. A response is named by
    it, and SGLang 0.5.23 goes on only from responses whose names begin so."""
    return ("resp_" if api is Api.RESPONSES else "") + secrets.token_hex(16)


def splice_rid(body: bytes, key: str, rid: str) -> bytes:
    """`body`, a JSON object with at least one member, with a first member `key: rid`.

    The id is what `/abort_request` takes (SGLang 0.5.23). Bytes after the opening brace stay as they are.
    """
    at = body.index(b"{") + 1
    return b'%b"%b":"%b",%b' % (body[:at], key.encode(), rid.encode(), body[at:])
