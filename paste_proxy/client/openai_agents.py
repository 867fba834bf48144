"""Tools of the OpenAI Agents SDK (`FunctionTool`). It makes texts of errors, for the model: no results."""

import copy
import inspect
import typing
from collections.abc import Mapping
from typing import Any

import msgspec
from agents import FunctionTool, RunContextWrapper
from agents.tool_context import ToolContext

from paste_proxy.client.bound import Bound, WrapError
from paste_proxy.client.calling import Calling
from paste_proxy.tools.authoring import declared_spec
from paste_proxy.tools.spec import Effect


def bind(tool: FunctionTool, declared: Mapping[str, Any]) -> Bound:
    spec = declared_spec(tool.description, tool.params_json_schema, {"name": tool.name, **declared})
    if spec.effect is not Effect.NEVER and tool.needs_approval:
        raise WrapError(f"{tool.name} needs approval, so it can't run ahead: drop its effect")
    invoke = getattr(tool.on_invoke_tool, "_invoke_tool_impl", tool.on_invoke_tool)
    if spec.effect is not Effect.NEVER and not inspect.isroutine(invoke):
        raise WrapError(f"{tool.name}: nothing tells errors from results of its {type(invoke).__name__}")
    needs_context = _needs_context(tool)

    async def run(arguments: dict[str, Any], world: Any) -> Any:
        text = msgspec.json.encode(arguments).decode()
        context = ToolContext(
            context=world[0] if world else None,
            tool_name=tool.name,
            tool_call_id=AHEAD,
            tool_arguments=text,
        )
        return await invoke(context, text)

    return Bound(spec, run, is_async=True, original=_function(tool) or tool, needs_world=needs_context)


AHEAD = "ahead"
"""The id that a tool sees which runs before its call is made."""


def wrapped(tool: FunctionTool, calling: Calling) -> FunctionTool:
    invoke = tool.on_invoke_tool

    async def on_invoke_tool(context: ToolContext[Any], arguments: str) -> Any:
        return await calling.wait(
            arguments,
            lambda: invoke(context, arguments),
            tool_call_id=context.tool_call_id,
            world=(context.context,),
        )

    # What the SDK notes on an invoker, such as that its function is sync.
    on_invoke_tool.__dict__.update(
        {name: value for name, value in vars(invoke).items() if name.startswith("__agents_")}
        if hasattr(invoke, "__dict__")
        else {}
    )
    other = copy.copy(tool)
    other.on_invoke_tool = on_invoke_tool
    return other


def _function(tool: FunctionTool) -> Any:
    """The function that `function_tool` was given, where it was."""
    try:
        return tool.__wrapped__
    except AttributeError:
        return None


def _needs_context(tool: FunctionTool) -> bool:
    """Of a tool that was not made by `function_tool` nothing tells."""
    function = _function(tool)
    if function is None:
        return True
    first = next(iter(inspect.signature(function).parameters), None)
    kind = typing.get_type_hints(function).get(first or "")
    kind = typing.get_origin(kind) or kind
    return isinstance(kind, type) and issubclass(kind, RunContextWrapper)
