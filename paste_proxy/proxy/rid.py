"""SGLang's request id, spliced into a body without touching anything else in it."""


def splice_rid(body: bytes, rid: str) -> bytes:
    """`body`, a JSON object with at least one member, with a first member `"rid": rid`.

    The id is what `/abort_request` takes (SGLang 0.5.23). Bytes after the opening brace stay as they are.
    """
    at = body.index(b"{") + 1
    return b'%b"rid":"%b",%b' % (body[:at], rid.encode(), body[at:])
