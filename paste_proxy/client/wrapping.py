"""`wrap`: an agent's tools, of whatever framework, as tools of the same kind that the proxy may run ahead."""

import atexit
import functools
import importlib
import inspect
import os
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

import msgspec

from paste_proxy.client import functions
from paste_proxy.client.bound import Bound, WrapError
from paste_proxy.client.calling import Calling
from paste_proxy.client.link import Link
from paste_proxy.client.protocol import offered
from paste_proxy.errors import PluginError
from paste_proxy.tools.authoring import Tool
from paste_proxy.tools.schema import SchemaError
from paste_proxy.tools.spec import Effect

T = TypeVar("T")

PROXY_VARIABLE = "PASTE_PROXY_URL"
PROXY = "http://127.0.0.1:8700"
"""Where `paste-proxy serve` listens unless told otherwise."""

ADAPTERS = {
    "agents.tool.FunctionTool": "paste_proxy.client.openai_agents",
    "langchain_core.tools.base.BaseTool": "paste_proxy.client.langchain_tools",
    "pydantic_ai.tools.Tool": "paste_proxy.client.pydantic_tools",
}
"""By class. A framework is imported only where one of its tools is given, and so it is there."""


def wrap(
    tools: Sequence[T],
    *,
    proxy: str = "",
    effects: Mapping[str, Effect | str] | None = None,
    declared: Mapping[str, Mapping[str, Any]] | None = None,
    share_outputs: bool = False,
) -> list[T]:
    """The tools, wrapped: objects of the same kinds, to be used in their place.

    `effects`: by name, what a tool may do ahead of the model; those declared `read` run ahead, where the
    operator of the proxy allows it. `declared`: by name, more keys of `@tool` (`reads`, `max_age`, ...), and
    `parameters`, the JSON schema that the agent's requests give a plain function, where its annotations don't
    say the same. `share_outputs`: send results of runs ahead to the proxy, too, from which it may predict
    further calls.

    Where no proxy is there, the tools do what they would without this. Raises `WrapError`.
    """
    link = _link((proxy or os.environ.get(PROXY_VARIABLE) or PROXY).rstrip("/"), share_outputs)
    stated = _stated(effects or {}, declared or {})
    bounds: dict[str, Bound] = {}
    wrapped: list[Any] = []
    for tool in tools:
        bound, made = _wrapped(tool, stated, link)
        name = bound.spec.name
        if name in bounds:
            raise WrapError(f"two tools are called {name}: give one of them another name")
        bounds[name] = bound
        wrapped.append(made)
    if unknown := sorted(stated.keys() - bounds.keys()):
        known = ", ".join(bounds) or "none"
        raise WrapError(f"there is no tool {unknown[0]!r} to declare anything of; there are: {known}")
    for bound in bounds.values():
        bound.siblings = bounds
    link.offer(bounds.values())
    return wrapped


def close() -> None:
    """End the connections of this process. A later call of a wrapped tool connects again."""
    for link in _links().values():
        link.close()


@functools.cache
def _links() -> dict[tuple[str, bool], Link]:
    atexit.register(close)
    return {}


def _link(proxy: str, share_outputs: bool) -> Link:
    """One for the process, however often it wraps tools."""
    return _links().setdefault((proxy, share_outputs), Link(proxy, share_outputs=share_outputs))


def _stated(
    effects: Mapping[str, Effect | str], declared: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    stated = {name: dict(keys) for name, keys in declared.items()}
    for name, effect in effects.items():
        stated.setdefault(name, {})["effect"] = effect
    return stated


def _wrapped(tool: Any, stated: Mapping[str, Mapping[str, Any]], link: Link) -> tuple[Bound, Any]:
    name = _name(tool)
    keys = stated.get(name, {})
    try:
        bound, made = _made(tool, name, keys, link)
        offered(bound.spec)  # what the proxy would refuse is told here, where it can be put right
    except (PluginError, SchemaError, msgspec.ValidationError) as error:
        raise WrapError(f"{name}: {error}") from error
    return bound, made


def _made(tool: Any, name: str, keys: Mapping[str, Any], link: Link) -> tuple[Bound, Any]:
    if isinstance(tool, Tool):
        bound = functions.bind_tool(tool, keys)
        return bound, functions.wrapped_tool(tool, Calling(link, bound))
    if (adapter := _adapter(tool)) is not None:
        plain = {key: value for key, value in keys.items() if key != "ahead"}
        bound = adapter.bind(tool, plain)
        bound.prepare = functions.preparing(bound.spec, keys.get("ahead"))
        return bound, adapter.wrapped(tool, Calling(link, bound))
    if inspect.isfunction(tool) or inspect.ismethod(tool):
        bound = functions.bind_function(tool, keys)
        return bound, functions.wrapped_function(tool, Calling(link, bound))
    raise WrapError(
        f"{name}: {type(tool).__module__}.{type(tool).__qualname__} is no kind of tool that is known here: "
        "plain functions, @tool, and the tools of the OpenAI Agents SDK, LangChain and pydantic-ai are"
    )


def _name(tool: Any) -> str:
    spec = getattr(tool, "spec", None)
    name = getattr(spec, "name", None) or getattr(tool, "name", None) or getattr(tool, "__name__", None)
    return name if isinstance(name, str) else repr(tool)


def _adapter(tool: Any) -> ModuleType | None:
    for kind in type(tool).__mro__:
        if (module := ADAPTERS.get(f"{kind.__module__}.{kind.__qualname__}")) is not None:
            return importlib.import_module(module)
    return None
