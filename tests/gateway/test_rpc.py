"""JSON-RPC that is none: each is told what is wrong, where, and what to do."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.gateway.rpc import RpcError, arguments_of


def message(**fields: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", **fields}).encode()


def without(key: str) -> bytes:
    fields = json.loads(message(params={"name": "echo"}))
    del fields[key]
    return json.dumps(fields).encode()


PARSE, REQUEST, PARAMS = -32700, -32600, -32602
MALFORMED: list[tuple[bytes, int, str | None, str]] = [
    (b"", PARSE, None, "not valid JSON"),
    (b"{", PARSE, None, "not valid JSON"),
    (b"\xff", PARSE, None, "not valid JSON: it is not UTF-8"),
    (message()[:-1] + b', "params": {"a": NaN}}', PARSE, None, "not valid JSON"),
    (b"[" * 90_000, REQUEST, None, "batches are not taken"),
    (b'{"params": ' + b"[" * 90_000, PARSE, None, "not valid JSON"),
    (b"[]", REQUEST, None, "batches are not taken"),
    (b" [" + message() + b"]", REQUEST, None, "batches are not taken"),
    (b"5", REQUEST, None, "a JSON object, not 5"),
    (b'"text"', REQUEST, None, 'a JSON object, not "text"'),
    (b"null", REQUEST, None, "a JSON object, not null"),
    (without("jsonrpc"), REQUEST, "jsonrpc", "which is missing"),
    (message(jsonrpc="1.0"), REQUEST, "jsonrpc", 'must be "2.0", not "1.0"'),
    (without("method"), REQUEST, "method", "is missing"),
    (message(method=5), REQUEST, "method", "a string, not 5"),
    (without("id"), REQUEST, "id", "tools/call is answered"),
    (message(id=None), REQUEST, "id", "not null"),
    (message(id={}), REQUEST, "id", "not {}"),
    (message(id=1.5), REQUEST, "id", "not 1.5"),
    (message(id=True), REQUEST, "id", "not true"),
    (message(id="\ud800"), PARSE, None, "half of a surrogate pair"),
    (message(id=10**18), REQUEST, "id", "at most 18 digits"),
    (message()[:-1] + b', "id": 1e400}', REQUEST, "id", "not 1e400"),
    (b'{"jsonrpc": "2.0", "result": {}}', REQUEST, "id", "names what it answers"),
    (b'{"jsonrpc": "2.0", "id": 1, "error": 5}', REQUEST, "error", "an object, not 5"),
    (message(params=[]), PARAMS, "params", "an object, not []"),
    (message(params="text"), PARAMS, "params", "an object"),
    (message(), PARAMS, "params.name", "tools/list says"),
    (message(params={"name": 5}), PARAMS, "params.name", "a string, not 5"),
    (message(params={"name": "echo", "arguments": [1]}), PARAMS, "params.arguments", "not [1]"),
    (message(params={"name": "echo", "_meta": 5}), PARAMS, "params._meta", "not 5"),
]


@pytest.mark.parametrize(("body", "code", "param", "says"), MALFORMED)
def test_what_is_no_message_is_told_what_is_wrong_with_it(
    body: bytes, code: int, param: str | None, says: str
) -> None:
    with pytest.raises(RpcError) as caught:
        arguments_of(body)
    error = json.loads(caught.value.body())
    assert (error["error"]["code"], error["error"]["data"]["paste/param"]) == (code, param)
    assert says in error["error"]["message"]
    assert len(error["error"]["message"]) < 200
    assert error["id"] == (1 if code == PARAMS or param in ("method", "error") else None)


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        (message(params={"name": "x"}), b"{}"),
        (message(params={"name": "x", "arguments": None, "_meta": None}), b"{}"),
        (message(id="a")[:-1] + b', "params": {"name": "x", "arguments": {"a":  1.0}}}', b'{"a":  1.0}'),
        (message(method="tools/list"), b"{}"),
        (message(method="tools/list", params=None), b"{}"),
        (b'{"jsonrpc": "2.0", "method": "notifications/initialized"}', b"{}"),
        (b'{"jsonrpc": "2.0", "id": 9, "result": {}}', b"{}"),
    ],
)
def test_messages_pass_with_their_arguments_as_they_were_written(body: bytes, arguments: bytes) -> None:
    assert arguments_of(body) == arguments


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("jsonrpc", "id", "method", "params", "result", "error", "name", "arguments", "_meta")


values = json_values | st.sampled_from(["2.0", "tools/call", "x"])


@given(st.dictionaries(st.sampled_from(KEYS), values), st.binary())
def test_whatever_comes_passes_or_is_refused_in_our_words(fields: dict[str, object], junk: bytes) -> None:
    whole = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": fields}).encode()
    for body in (json.dumps(fields).encode(), whole, junk, whole[: len(junk)]):
        assert refusal(body) is None or json.loads(refusal(body) or "")["error"]["message"]


def refusal(body: bytes) -> bytes | None:
    try:
        arguments_of(body)
    except RpcError as error:
        return error.body()
    return None
