"""From the configuration to requests; whatever is wrong is told with its key when the proxy starts."""

from typing import Any

import msgspec
import pytest

from paste_proxy.config_http import HttpToolConfig, TargetsConfig
from paste_proxy.errors import ConfigError, InvalidArgumentsError
from paste_proxy.tools.http.guard import Guard
from paste_proxy.tools.http.operations import Operation, operations_of
from paste_proxy.tools.spec import Effect, ToolSpec

GUARD = Guard(TargetsConfig(), "http.targets")
PARAMETERS = {
    "properties": {"id": {"type": "string", "pattern": "^[a-z/]+$"}, "limit": {"type": "integer"}, "why": {}},
    "required": ["id"],
}


def operation(environment: dict[str, str] | None = None, **keys: Any) -> Operation:
    plain = {
        "url": "https://api.example.com/v1/items/{id}",
        "parameters": PARAMETERS,
        "query": {"limit": "{limit}", "key": "${KEY}"},
        "inert": ["why"],
        **keys,
    }
    config = msgspec.convert(plain, HttpToolConfig)
    return operations_of({"item": config}, GUARD, {"KEY": "k1"} if environment is None else environment)[0]


def test_a_call_becomes_a_request() -> None:
    request = operation(headers={"Authorization": "Bearer ${KEY}"}).request(
        {"id": "a/b", "limit": 5, "why": "so"}
    )
    assert str(request.url) == "https://api.example.com/v1/items/a%2Fb?limit=5&key=k1"
    assert (request.method, request.body, request.headers["Authorization"]) == ("GET", None, "Bearer k1")


def test_a_body_is_json() -> None:
    made = operation(method="POST", query={}, url="https://a.b/x", body={"id": "{id}", "n": ["{limit}"]})
    request = made.request({"id": "a", "limit": 5})
    assert (request.body, request.headers["Content-Type"]) == (b'{"id":"a","n":[5]}', "application/json")


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"id": "A"}, r"\$\.id"),
        ({"id": "a", "limit": "5"}, r"\$\.limit"),
        ({}, r"\$"),
        ({"id": "a", "x": 1}, r"\$"),
        ({"id": "a/../b"}, r"\$"),
    ],
)
def test_arguments_are_held_to_the_schema(arguments: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidArgumentsError, match=f"^item: {where}"):
        operation().request(arguments)


def test_the_declaration() -> None:
    spec = operation(effect="read", reads=["shop"], max_age=5, description="An item.").spec
    assert spec.parameters["additionalProperties"] is False
    assert msgspec.structs.replace(spec, parameters={}) == ToolSpec(
        "item",
        "An item.",
        {},
        effect=Effect.READ,
        reads=frozenset({"shop"}),
        writes=frozenset(),
        max_age=5,
        timeout=30,
        inert=frozenset({"why"}),
        network=True,
        result_limit=4 * 1024 * 1024,
        exact=True,
    )
    plain = operation().spec
    assert plain.effect is Effect.NEVER
    assert plain.reads == plain.writes == {"*"}
    assert operation(writes=["shop"]).spec.writes == {"shop"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_method_decides_the_highest_effect(method: str) -> None:
    with pytest.raises(ConfigError, match=rf"^http_tools\.item\.effect: {method} is never a `read`"):
        operation(method=method, effect="read")
    assert operation(method="HEAD", effect="read").spec.effect is Effect.READ


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"url": "items/{id}"}, "url: 'items/{id}' must be http://HOST/PATH"),
        ({"url": "https://a.b/{id}?x=1"}, "url: .* under `query`"),
        ({"url": "https://{id}.b/"}, "url: "),
        ({"url": "ftp://a.b/{id}"}, "url: 'ftp': only absolute"),
        ({"url": "https://u:p@a.b/{id}"}, "url: a.b: user names"),
        ({"url": "http://10.0.0.1/{id}"}, r"url: 10\.0\.0\.1 is private.*http\.targets\.allow"),
        ({"url": "https://a.b/../{id}"}, "url: .*has `.` or `..`"),
        ({"url": "https://a.b/"}, "argument 'id' is used nowhere"),
        ({"url": "https://a.b/{id}/{other}"}, "{other} is no argument"),
        ({"inert": ["other", "why"]}, "{other} is no argument"),
        ({"effect": "read", "writes": ["x"]}, "writes: a tool with effect `read`"),
        ({"headers": {"Host": "x"}}, "headers.Host: this header can't be set"),
        ({"headers": {"A b": "x"}}, "headers.A b: this header can't be set"),
        ({"headers": {"A": "x\r\nB: y"}}, "headers.A: control characters"),
        ({"headers": {"A": "${NOPE}"}}, "headers.A: the environment has no variable NOPE"),
        ({"effect": "read", "headers": {"Cookie": "x"}}, "headers.Cookie: cookies are never sent ahead"),
        ({"parameters": {"type": "array"}}, "parameters: must be the JSON schema of an object"),
        (
            {"parameters": {"properties": {"id": {"type": "nope"}}}, "query": {}, "inert": []},
            "parameters: not a JSON schema",
        ),
        (
            {"parameters": {"properties": {"id": {"$ref": "http://x/y"}}}, "query": {}, "inert": []},
            "parameters: not a JSON schema",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_key(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        operation(**keys)
    assert caught.value.message.startswith("http_tools.item")
    assert "k1" not in caught.value.message
