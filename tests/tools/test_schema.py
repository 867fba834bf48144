"""Annotations as a JSON schema that stands alone."""

import enum
import json
from typing import Annotated, Any, Literal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.tools import tool
from paste_proxy.tools.schema import json_schema


class Colour(enum.Enum):
    RED = "red"


class Point(msgspec.Struct, forbid_unknown_fields=True):
    """Where."""

    x: int
    colour: Colour = Colour.RED


class Circle(msgspec.Struct, tag="circle"):
    centre: Point


class Square(msgspec.Struct, tag="square"):
    corner: Point


def test_a_flat_schema_is_what_openai_takes() -> None:
    @tool
    def find(
        path: Annotated[str, msgspec.Meta(description="Where to look")],
        depth: Annotated[int, msgspec.Meta(ge=1, le=9)] = 3,
        mode: Literal["fast", "slow"] = "fast",
        skip: tuple[str, ...] = (),
        after: float | None = None,
    ) -> None: ...

    assert find.spec.parameters == {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "Where to look"},
            "depth": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
            "mode": {"enum": ["fast", "slow"], "default": "fast"},
            "skip": {"type": "array", "items": {"type": "string"}, "default": []},
            "after": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
        },
        "required": ["path"],
        "additionalProperties": False,
    }


def test_definitions_are_inlined() -> None:
    @tool
    def draw(shape: Circle | Square, points: list[Point], main: Point | None = None) -> None: ...

    text = json.dumps(draw.spec.parameters)
    assert "$ref" not in text
    assert "$defs" not in text
    assert "discriminator" not in text
    point = draw.spec.parameters["properties"]["points"]["items"]
    assert point["properties"] == {
        "x": {"type": "integer"},
        "colour": {"title": "Colour", "enum": ["red"], "default": "red"},
    }
    assert point["additionalProperties"] is False


def test_a_tool_without_parameters_has_an_object_schema() -> None:
    @tool
    def now() -> float:
        return 0.0

    assert now.spec.parameters == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }


TYPES = st.recursive(
    st.sampled_from([int, str, float, bool, Point, Colour, Any]),
    lambda inner: inner.map(lambda of: list[of]) | inner.map(lambda of: dict[str, of]),  # type: ignore[valid-type]
    max_leaves=4,
)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), TYPES, max_size=4))
def test_every_schema_is_plain_json_without_references(fields: dict[str, Any]) -> None:
    schema = json_schema(msgspec.defstruct("Arguments", list(fields.items()), forbid_unknown_fields=True))
    assert json.loads(json.dumps(schema)) == schema
    assert "$ref" not in json.dumps(schema)
    assert list(schema["properties"]) == list(fields)
    assert schema["additionalProperties"] is False
