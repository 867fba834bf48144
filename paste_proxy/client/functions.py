"""Plain functions, and `@tool` Tools, which are functions too."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from paste_proxy.client.bound import Bound, WrapError, is_async
from paste_proxy.client.calling import Calling
from paste_proxy.tools.authoring import Declaration, Tool, check_ahead, declared_spec, tool
from paste_proxy.tools.spec import ToolSpec


def bind_function(function: Callable[..., Any], declared: Mapping[str, Any]) -> Bound:
    """Its annotations give its schema, unless `parameters` states it. Raises `WrapError`, `PluginError`."""
    declared = dict(declared)
    stated = declared.pop("parameters", None)
    if stated is not None:
        ahead = declared.pop("ahead", None)
        spec = declared_spec(inspect.getdoc(function) or "", stated, {"name": function.__name__, **declared})
        return Bound(
            spec,
            lambda arguments, _world: function(**arguments),
            is_async(function),
            function,
            prepare=preparing(spec, ahead),
        )
    return bind_tool(tool(**declared)(function), {})


def bind_tool(made: Tool[..., Any], declared: Mapping[str, Any]) -> Bound:
    if made.wants_context:
        raise WrapError(f"{made.spec.name} takes a RunContext, which a tool has in the proxy only")
    spec = made.spec
    declared = dict(declared)
    ahead = declared.pop("ahead", made.ahead)
    if declared:
        kept = {name: getattr(spec, name) for name in ToolSpec.__struct_fields__ if name in _PLAIN}
        if declared.get("effect", spec.effect) != spec.effect:
            del kept["writes"]
        spec = declared_spec(spec.description, spec.parameters, {**kept, **declared})
    return Bound(
        msgspec.structs.replace(spec, has_fingerprint=False),
        lambda arguments, _world: made.function(**arguments),
        made.is_async,
        made.function,
        mark=functools.partial(_mark, made.fingerprint) if made.fingerprint is not None else None,
        prepare=preparing(spec, ahead),
    )


def preparing(spec: ToolSpec, ahead: Callable[..., Any] | None) -> Callable[[dict[str, Any]], Any] | None:
    """What runs ahead in the tool's place. Raises `SchemaError`."""
    check_ahead(spec, ahead)
    if ahead is None:
        return None
    if is_async(ahead):

        async def wait(arguments: dict[str, Any]) -> None:
            await ahead(**arguments)

        return wait

    def block(arguments: dict[str, Any]) -> None:
        ahead(**arguments)

    return block


_PLAIN = frozenset(ToolSpec.__struct_fields__) & Declaration.__annotations__.keys()


def _mark(fingerprint: Callable[..., Any], arguments: dict[str, Any]) -> object:
    """Where none can be taken, as of a file that is gone, what equals nothing."""
    try:
        return fingerprint(**arguments)
    except Exception:  # noqa: BLE001 - the author's code; the run itself tells what is wrong
        return object()


def wrapped_function(function: Callable[..., Any], calling: Calling) -> Callable[..., Any]:
    signature = inspect.signature(function)

    def values(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any] | bytes:
        try:
            return signature.bind(*args, **kwargs).arguments
        except TypeError:
            return b"-"  # the function says itself what is wrong with them

    if is_async(function):

        @functools.wraps(function)
        async def wait(*args: Any, **kwargs: Any) -> Any:
            return await calling.wait(values(args, kwargs), lambda: function(*args, **kwargs))

        return wait

    @functools.wraps(function)
    def block(*args: Any, **kwargs: Any) -> Any:
        return calling.block(values(args, kwargs), lambda: function(*args, **kwargs))

    return block


def wrapped_tool(made: Tool[..., Any], calling: Calling) -> Tool[..., Any]:
    return dataclasses.replace(made, function=wrapped_function(made.function, calling))
