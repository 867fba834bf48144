"""Tools of pydantic-ai (`Tool`): its functions, in threads or not, are called by its own schema object."""

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_ai import RunContext, Tool
from pydantic_core import to_jsonable_python

from paste_proxy.client.bound import Bound, WrapError
from paste_proxy.client.calling import Calling
from paste_proxy.tools.authoring import declared_spec
from paste_proxy.tools.spec import Effect


@dataclass(frozen=True, slots=True)
class World:
    """A call's context. For whom it is made is what its dependencies say."""

    deps: Any
    context: RunContext[Any] = dataclasses.field(compare=False)


def bind(tool: Tool[Any], declared: Mapping[str, Any]) -> Bound:
    schema = tool.function_schema
    spec = declared_spec(tool.description or "", schema.json_schema, {"name": tool.name, **declared})
    if spec.effect is not Effect.NEVER and (tool.requires_approval or tool.args_validator is not None):
        raise WrapError(
            f"{tool.name} needs approval or checks its arguments itself, so it can't run ahead: drop its effect"
        )

    async def run(arguments: dict[str, Any], world: World | None) -> Any:
        values = schema.validator.validate_python(arguments)
        context: Any = dataclasses.replace(world.context, tool_call_id="ahead") if world is not None else None
        return await schema.call(values, context)

    return Bound(spec, run, is_async=True, original=schema.function, needs_world=schema.takes_ctx)


def wrapped(tool: Tool[Any], calling: Calling) -> Tool[Any]:
    schema = tool.function_schema

    async def call(values: dict[str, Any], context: RunContext[Any]) -> Any:
        return await calling.wait(
            _arguments(schema.single_arg_name, values),
            lambda: schema.call(values, context),
            tool_call_id=context.tool_call_id or "",
            world=World(context.deps, context),
        )

    other = copy.copy(tool)
    other.function_schema = copy.copy(schema)
    other.function_schema.call = call
    return other


def _arguments(single: str | None, values: dict[str, Any]) -> Mapping[str, Any] | bytes:
    """As the model wrote them: JSON values, and those of one model without the name of its parameter."""
    try:
        plain = to_jsonable_python(values[single] if single is not None else values)
    except ValueError:
        return b"-"
    return plain if isinstance(plain, dict) else b"-"
