"""Tools of LangChain, as LangGraph's agents use them (`BaseTool`).

A wrapped tool is one of a class made for it. Its `run` and `arun` note what the model asked for; its `_run` and
`_arun`, which they call with checked arguments, give the result that is there, or call the tool's own. So
callbacks, error handling and the message around a result are the framework's, as ever.
"""

import contextvars
import functools
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, Tool
from langchain_core.utils.function_calling import convert_to_openai_tool

from paste_proxy.client.bound import Bound, WrapError
from paste_proxy.client.calling import Calling
from paste_proxy.tools.authoring import declared_spec
from paste_proxy.tools.spec import Effect


@dataclass(eq=False, slots=True)
class _Asked:
    """A call as it came in; or, with `results`, a run ahead, whose own result goes there."""

    arguments: Any
    tool_call_id: str = ""
    results: list[Any] | None = field(default=None)


_asked: contextvars.ContextVar[_Asked | None] = contextvars.ContextVar("paste_asked", default=None)


def bind(tool: BaseTool, declared: Mapping[str, Any]) -> Bound:
    parameters = convert_to_openai_tool(tool)["function"].get(
        "parameters", {"type": "object", "properties": {}}
    )
    spec = declared_spec(tool.description, parameters, {"name": tool.name, **declared})
    if spec.effect is not Effect.NEVER and (injected := _injected(tool)):
        raise WrapError(
            f"{tool.name} is given {', '.join(sorted(injected))} by its agent, so it can't run ahead: "
            "drop its effect"
        )
    watched = _subclassed(tool, _noting_run, _noting_arun)
    is_async = type(tool)._arun is not BaseTool._arun and getattr(tool, "coroutine", tool) is not None

    async def wait(arguments: dict[str, Any], _world: Any) -> Any:
        asked = _Asked(arguments, results=[])
        _asked.set(asked)
        await watched.arun(dict(arguments))
        return _one_of(asked)

    def block(arguments: dict[str, Any], _world: Any) -> Any:
        asked = _Asked(arguments, results=[])
        _asked.set(asked)
        watched.run(dict(arguments))
        return _one_of(asked)

    original = getattr(tool, "coroutine", None) or getattr(tool, "func", None) or tool
    return Bound(spec, wait if is_async else block, is_async, original)


def _one_of(asked: _Asked) -> Any:
    if not asked.results:
        raise LookupError("the tool gave no result")  # its own error became a text for the model
    return asked.results[0]


def wrapped(tool: BaseTool, calling: Calling) -> BaseTool:
    def run(own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        asked = _asked.get()
        if asked is None:
            return own(*args, **kwargs)
        _asked.set(None)
        return calling.block(asked.arguments, lambda: own(*args, **kwargs), tool_call_id=asked.tool_call_id)

    async def arun(own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        asked = _asked.get()
        if asked is None:
            return await own(*args, **kwargs)
        _asked.set(None)
        return await calling.wait(
            asked.arguments, lambda: own(*args, **kwargs), tool_call_id=asked.tool_call_id
        )

    return _subclassed(tool, run, arun, asks=True)


def _noting_run(own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    result = own(*args, **kwargs)
    if (asked := _asked.get()) is not None and asked.results is not None:
        asked.results.append(result)
    return result


async def _noting_arun(own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    result = await own(*args, **kwargs)
    if (asked := _asked.get()) is not None and asked.results is not None:
        asked.results.append(result)
    return result


def _subclassed(
    tool: BaseTool, run: Callable[..., Any], arun: Callable[..., Any], *, asks: bool = False
) -> BaseTool:
    """A copy of `tool` whose own `_run` and `_arun` are called by these two."""
    kind: Any = type(tool)
    own_run, own_arun = tool._run, tool._arun

    @functools.wraps(kind._run)
    def _run(_self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        return run(own_run, *args, **kwargs)

    @functools.wraps(kind._arun)
    async def _arun(_self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        return await arun(own_arun, *args, **kwargs)

    members: dict[str, Any] = {"_run": _run, "__module__": kind.__module__, "__doc__": kind.__doc__}
    if kind._arun is not BaseTool._arun:
        members["_arun"] = _arun
    if asks:
        members |= {"run": _noted(kind.run), "arun": _noted_async(kind.arun)}
    other = tool.model_copy()
    object.__setattr__(other, "__class__", type(kind)(kind.__name__, (kind,), members))
    return other


def _noted(run: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run)
    def noted(self: BaseTool, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        token = _asked.set(_Asked(tool_input, kwargs.get("tool_call_id") or ""))
        try:
            return run(self, tool_input, *args, **kwargs)
        finally:
            _asked.reset(token)

    return noted


def _noted_async(arun: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(arun)
    async def noted(self: BaseTool, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        token = _asked.set(_Asked(tool_input, kwargs.get("tool_call_id") or ""))
        try:
            return await arun(self, tool_input, *args, **kwargs)
        finally:
            _asked.reset(token)

    return noted


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    own = StructuredTool._run, StructuredTool._arun, Tool._run, Tool._arun
    return {} if getattr(function, "__func__", None) in own else typing.get_type_hints(function)


def _injected(tool: BaseTool) -> set[str]:
    """Arguments that the model does not see; and the configuration of its agent's run, which says for whom."""
    function = getattr(tool, "coroutine", None) or getattr(tool, "func", None) or tool._run
    if any(RunnableConfig in (kind, *typing.get_args(kind)) for kind in _hints(function).values()):
        return {"config"}
    schema: Any = tool.get_input_schema()
    shown: Any = tool.tool_call_schema
    if isinstance(schema, dict) or isinstance(shown, dict):
        return set()
    return set(schema.model_fields) - set(shown.model_fields)
