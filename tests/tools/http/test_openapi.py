"""Operations of OpenAPI documents as tools, and documents that ask for too much."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.broker.keys import canonical_text
from paste_proxy.config import Config
from paste_proxy.config_http import HttpConfig, OpenApiConfig, TargetsConfig
from paste_proxy.errors import ConfigError, UnavailableError
from paste_proxy.tools.http.guard import Guard
from paste_proxy.tools.http.openapi import operations_of_document
from paste_proxy.tools.http.operations import Operation
from paste_proxy.tools.http.sources import fetched_documents, http_operations
from paste_proxy.tools.spec import Effect
from tests.tools.http.servers import serving
from tests.tools.http.test_client import answering

GUARD = Guard(TargetsConfig(), "http.targets")

PETS = """
openapi: 3.0.3
info: {title: Pets, version: 2024-01-01}
servers:
  - url: https://{region}.pets.example/v1/
    variables: {region: {default: eu}}
paths:
  /pets/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: integer}, description: From a list.}
      - {name: lang, in: query, schema: {type: string}}
    get:
      operationId: getPet
      summary: One pet.
      description: With its owner.
      parameters:
        - {name: lang, in: query, schema: {type: string, enum: [de, en], default: en, nullable: true}}
        - {name: tags, in: query, explode: false, schema: {type: array, items: {type: string}}}
        - {name: X-Trace, in: header, schema: {type: string}}
    delete: {}
    put:
      operationId: pets.put
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}
  /pets:
    post:
      operationId: addPets
      requestBody:
        content:
          application/json:
            schema: {type: array, items: {$ref: '#/components/schemas/Pet'}}
components:
  schemas:
    Pet:
      type: object
      required: [uid, name, age]
      x-internal: true
      properties:
        uid: {type: string, readOnly: true}
        name: {type: string, example: Rex}
        age: {type: integer, minimum: 0, exclusiveMinimum: true}
        born: {type: string, default: 2020-01-01}
        owner: {$ref: '#/components/schemas/Owner'}
    Owner: {type: object, properties: {name: {type: string}}}
"""


def made(
    text: str | bytes = PETS, environment: dict[str, str] | None = None, **keys: Any
) -> dict[str, Operation]:
    config = msgspec.convert({"document": "pets.yaml", **keys}, OpenApiConfig)
    raw = text.encode() if isinstance(text, str) else text
    found = operations_of_document("pets", config, raw, GUARD, environment or {})
    return {one.spec.name: one for one in found}


def test_parameters_become_arguments() -> None:
    get = made(include=["getPet"], read=["getPet"])["getPet"]
    assert get.spec.description == "One pet.\n\nWith its owner."
    assert (get.spec.effect, get.method) == (Effect.READ, "GET")
    assert get.spec.parameters == {
        "type": "object",
        "properties": {
            "id": {"description": "From a list.", "type": "integer"},
            "lang": {"type": ["string", "null"], "enum": ["de", "en", None], "default": "en"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "additionalProperties": False,
        "required": ["id"],
    }
    request = get.request({"id": 7, "tags": ["a", "b"], "lang": "de"})
    assert str(request.url) == "https://eu.pets.example/v1/pets/7?lang=de&tags=a%2Cb"


def test_calls_that_send_different_requests_are_different_calls() -> None:
    """What the document says of defaults is its server's claim: nothing is filled in."""
    pet = made(include=["getPet"])["getPet"]
    bare, stated = {"id": 1}, {"id": 1, "lang": "en"}
    assert pet.request(bare).url != pet.request(stated).url
    assert canonical_text(pet.spec, bare) != canonical_text(pet.spec, stated)


def test_a_body_s_properties_stand_beside_the_parameters() -> None:
    put = made(include=["pets.put"])["pets_put"]
    assert put.spec.effect is Effect.NEVER
    assert put.spec.parameters["required"] == ["id", "name", "age"]
    assert put.spec.parameters["properties"] | {"id": {}, "lang": {}} == {
        "id": {},
        "lang": {},
        "name": {"type": "string"},
        "age": {"type": "integer", "exclusiveMinimum": 0},
        "born": {"type": "string", "default": "2020-01-01"},
        "owner": {"type": "object", "properties": {"name": {"type": "string"}}},
    }
    request = put.request({"id": 7, "name": "Rex", "age": 3, "owner": {"name": "x"}})
    assert request.body == b'{"name":"Rex","age":3,"owner":{"name":"x"}}'


def test_another_body_is_an_argument() -> None:
    add = made(include=["addPets"])["addPets"]
    assert add.request({"body": [{"name": "Rex", "age": 3}]}).body == b'[{"name":"Rex","age":3}]'
    assert add.request({}).body is None


def test_operations_without_an_id_go_by_method_and_path() -> None:
    assert list(made(include=["DELETE /pets/{id}"], prefix="shop_")) == ["shop_DELETE_pets_id"]


def test_a_document_may_be_json_and_its_address_another() -> None:
    text = json.dumps(yaml.load(PETS, yaml.BaseLoader)).replace('"true"', "true")
    get = made(text, include=["getPet"], base_url="https://other.example/api/")["getPet"]
    assert str(get.request({"id": 7}).url) == "https://other.example/api/pets/7"


def changed(path: str, value: Any) -> bytes:
    """PETS with another value at a path of keys."""
    document = yaml.safe_load(PETS)
    *steps, last = path.split("|")
    owner = document
    for step in steps:
        owner = owner[step]
    owner[last] = value
    return json.dumps(document, default=str).encode()


GET = "paths|/pets/{id}|get|parameters"


@pytest.mark.parametrize(
    ("text", "keys", "why"),
    [
        (b"swagger: '2.0'", {}, "document: Swagger 2.0: only OpenAPI 3 is read; converters exist"),
        (b"openapi: 4.0.0", {}, "document: openapi: 4.0.0: only versions 3.x are read$"),
        (b"[]", {}, "document: no OpenAPI document: it has no key `openapi`"),
        (b"paths: {}", {}, "document: no OpenAPI document: it has no key `openapi`"),
        (b"{a: [", {}, "document: neither JSON nor YAML"),
        (b"\xff", {}, "document: neither JSON nor YAML"),
        (
            PETS,
            {"include": ["nope"]},
            "include: there is no operation 'nope'; known: getPet, pets.put",
        ),
        (PETS, {"read": ["pets.put"]}, "read: 'pets.put' is not under openapi.pets.include"),
        (PETS, {"include": ["pets.put"], "read": ["pets.put"]}, "read: pets.put: PUT is never a `read`"),
        (PETS, {"base_url": "http://10.0.0.1"}, r"10\.0\.0\.1 is private"),
        (PETS, {"headers": {"A": "${NOPE}"}}, "headers.A: the environment has no variable NOPE"),
        (PETS, {"prefix": "p" * 32}, None),
        (changed("servers", []), {}, "base_url: the document names no server"),
        (changed("servers", [{"url": "/v1"}]), {}, "base_url: the document names no server"),
        (changed(GET, [{"$ref": "other.yaml#/x"}]), {}, "points outside the document"),
        (changed(GET, [{"$ref": "#/nope"}]), {}, "points at nothing"),
        (changed(GET, [{"in": "query", "schema": {}}]), {}, "a parameter has no name"),
        (
            changed(GET, [{"in": "header", "name": "A", "required": True}]),
            {},
            "needs the header 'A': set it",
        ),
        (changed(GET, [{"in": "cookie", "name": "A", "required": True}]), {}, "needs the cookie 'A'"),
        (changed(GET, [{"in": "query", "name": "a", "content": {}}]), {}, "parameter 'a' has no `schema`"),
        (changed(GET, [{"in": "query", "name": "a b", "schema": {}}]), {}, "such a name can't be an argument"),
        (changed(GET, [{"in": "query", "name": "id", "schema": {}}]), {}, "two parameters are called 'id'"),
        (changed(GET, [{"in": "path", "name": "x", "schema": {}}]), {}, "path and parameters don't agree on x"),
        (
            changed(GET, [{"in": "query", "name": "a", "style": "deepObject", "schema": {}}]),
            {},
            "style: deepObject is not known",
        ),
        (
            changed(GET, [{"in": "query", "name": "a", "schema": {"type": "object"}}]),
            {},
            "an object in a query",
        ),
        (
            changed("components|schemas|Owner", {"properties": {"pets": {"$ref": "#/components/schemas/Pet"}}}),
            {"include": ["pets.put"]},
            "components/schemas/Owner contains itself|components/schemas/Pet contains itself",
        ),
        (
            changed("paths|/pets|post|requestBody", {"content": {"text/csv": {}}}),
            {"include": ["addPets"]},
            "its body is text/csv: only application/json",
        ),
        (changed("paths|/pets/{id}|get|operationId", "x" * 65), {"include": ["GET /pets/{id}"]}, "at most 64"),
    ],
)
def test_what_can_t_be_carried_out_is_told(text: str | bytes, keys: dict[str, Any], why: str | None) -> None:
    if why is None:
        assert made(text, **{"include": ["getPet"], **keys})
        return
    with pytest.raises(ConfigError, match=why) as caught:
        made(text, **{"include": ["getPet"], **keys})
    assert caught.value.message.startswith("openapi.pets.")


def test_a_header_that_the_operator_sets_is_no_lack() -> None:
    text = changed(GET, [{"in": "header", "name": "Api-Key", "required": True}])
    get = made(text, {"KEY": "k1"}, include=["getPet"], headers={"api-key": "${KEY}"})["getPet"]
    assert get.request({"id": 1}).headers["api-key"] == "k1"


def test_references_are_written_out_within_bounds() -> None:
    """Each schema refers to the one before twice: 2^30 of the first."""
    schemas: dict[str, Any] = {"S0": {"type": "string"}}
    for number in range(1, 31):
        reference = {"$ref": f"#/components/schemas/S{number - 1}"}
        schemas[f"S{number}"] = {"properties": {"a": reference, "b": reference}}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S30"}}}}
    document = json.loads(changed("components|schemas", schemas))
    document["paths"]["/pets"]["post"]["requestBody"] = body
    with pytest.raises(ConfigError, match="more than 5000 values"):
        made(json.dumps(document), include=["addPets"])


WORDS = ("parameters", "requestBody", "content", "application/json", "schema", "name", "in", "type")
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just({"$ref": "#/components"}),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner)
    ),
    max_leaves=8,
)
PLACES = ("paths", GET, "servers", "components|schemas|Pet", "paths|/pets/{id}|put|requestBody")


@given(st.sampled_from(PLACES), JSONS)
def test_no_document_raises_anything_else(place: str, value: Any) -> None:
    with contextlib.suppress(ConfigError):
        made(changed(place, value), include=["getPet", "pets.put"])


async def test_a_document_is_fetched_through_the_guard() -> None:
    async with serving(doc=answering(PETS.encode())) as base:
        api = msgspec.convert({"document": str(base / "doc"), "include": ["getPet"]}, OpenApiConfig)
        with pytest.raises(ConfigError, match=r"^openapi\.pets\.document: 127\.0\.0\.1 is loopback"):
            await fetched_documents(Config(openapi={"pets": api}))
        config = Config(openapi={"pets": api}, http=HttpConfig(TargetsConfig(allow=("127.0.0.1",))))
        documents = await fetched_documents(config)
        missing = msgspec.structs.replace(api, document=str(base / "nope"))
        with pytest.raises(UnavailableError, match=r"document: 127\.0\.0\.1 answered 404"):
            await fetched_documents(msgspec.structs.replace(config, openapi={"pets": missing}))
    assert [one.spec.name for one in http_operations(config, GUARD, documents, {})] == ["getPet"]
    with pytest.raises(ConfigError, match="has to be fetched first"):
        http_operations(config, GUARD, {}, {})


def test_a_document_that_is_not_there() -> None:
    api = msgspec.convert({"document": "/nowhere/pets.yaml", "include": ["getPet"]}, OpenApiConfig)
    with pytest.raises(ConfigError, match=r"^openapi\.pets\.document: /nowhere/pets\.yaml: No such file"):
        http_operations(Config(openapi={"pets": api}), GUARD, {}, {})


def test_what_is_volatile_or_consumes_never_runs_ahead_by_the_operator_or_the_document() -> None:
    said = PETS.replace("operationId: getPet", "operationId: getPet\n      x-paste-volatile: true")
    for text, keys in ((said, {}), (PETS, {"volatile": ["getPet"]}), (PETS, {"consumes": ["getPet"]})):
        document = msgspec.convert(
            {"document": "pets", "include": ["getPet"], "read": ["getPet"], **keys}, OpenApiConfig
        )
        [one] = operations_of_document("pets", document, text.encode(), GUARD, {})
        assert one.spec.effect is Effect.NEVER
        assert one.spec.writes == (frozenset({"*"}) if "consumes" in keys else frozenset())
