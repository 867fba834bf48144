"""The authoring API: `@tool` turns a typed function into a `Tool`. It registers nothing and runs nothing.

A declaration that can't be right raises `PluginError`, naming the file and line of the function, at the
moment the plugin is loaded. docs/plugins.md explains the keys by example.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, ParamSpec, TypedDict, TypeVar, Unpack, overload

import msgspec

from paste_proxy.errors import PluginError
from paste_proxy.tools.ports import RunContext
from paste_proxy.tools.schema import SchemaError, Signature, read_signature
from paste_proxy.tools.spec import Effect, ToolSpec, narrowed

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Tool(Generic[P, R]):
    """A declared tool: its specification, its function, and where it was declared.

    Called like a function it is the function: tools can be tested and used without the proxy.
    """

    spec: ToolSpec
    function: Callable[P, R]
    file: str
    line: int
    arguments: type[msgspec.Struct]
    """One field per argument, with the function's types and defaults."""
    wants_context: bool
    is_async: bool
    isolated: bool
    """Authoritative runs, too, go to a worker process."""
    warm: Callable[[], Any] | None
    fingerprint: Callable[..., Any] | None
    close: Callable[[], Any] | None = None
    ahead: Callable[..., Any] | None = None
    """What runs ahead in its place, where its effect is `warm` or `dry_run`."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @property
    def place(self) -> str:
        """`file:line` of the declaration."""
        return f"{self.file}:{self.line}"

    def invoke(self, context: RunContext, arguments: dict[str, Any]) -> Any:
        """Call the function with arguments of its types; an async tool's result is to be awaited."""
        function: Callable[..., Any] = self.function
        return function(context, **arguments) if self.wants_context else function(**arguments)

    def prepare(self, context: RunContext, arguments: dict[str, Any]) -> Any:
        """The same for what runs ahead in its place."""
        if self.ahead is None:
            raise TypeError(f"{self.spec.name} declares nothing that prepares its calls")
        return self.ahead(context, **arguments) if self.wants_context else self.ahead(**arguments)


class Declaration(TypedDict, total=False):
    """The keys of `@tool(...)`; the defaults are those of `ToolSpec`."""

    name: str
    """The function's name unless stated; letters, digits, `_` and `-`, at most 64, as OpenAI's API demands."""
    effect: Effect | str
    reads: Iterable[str]
    """Scopes; everything unless stated. Empty: the result depends on nothing that a tool can write."""
    writes: Iterable[str]
    max_age: float
    retention: float
    timeout: float
    concurrency: int
    price: float
    inert: Iterable[str]
    volatility: float
    volatile: bool
    consumes: bool
    network: bool
    """The tool hands its arguments to others: what it is told ahead of the model is held to the egress rule."""
    result_limit: int
    isolated: bool
    """Run in a worker process always, not only ahead of the model: for code that may hang, crash or hold the
    interpreter's lock (a regular expression from outside does). Sync tools only."""
    warm: Callable[[], Any]
    """Called without arguments, once in each process before the tool's first run there; it may be slow."""
    close: Callable[[], Any]
    """Called without arguments when the proxy ends: an async function of an async tool, which runs where its
    connections are. Worker processes are killed."""
    ahead: Callable[..., Any]
    """For the effects `warm` and `dry_run`: called ahead of the model in the tool's place, with the arguments
    that its call is expected to have. It changes nothing that anybody can see, and what it returns is dropped.
    Async as the tool is."""
    fingerprint: Callable[..., Any]
    """Called with the tool's arguments, on the event loop, so it must take microseconds: a stat, a counter.
    Returns a JSON-able value that changes whenever the result would."""


Scope = Annotated[str, msgspec.Meta(min_length=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class _Checked(msgspec.Struct, forbid_unknown_fields=True):
    """The plain keys of a declaration with what they may be; the meaning is `ToolSpec`'s."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}\Z")]
    effect: Effect | msgspec.UnsetType = msgspec.UNSET
    reads: frozenset[Scope] | msgspec.UnsetType = msgspec.UNSET
    writes: frozenset[Scope] | msgspec.UnsetType = msgspec.UNSET
    max_age: Seconds | msgspec.UnsetType = msgspec.UNSET
    retention: Seconds | msgspec.UnsetType = msgspec.UNSET
    timeout: Annotated[float, msgspec.Meta(gt=0)] | msgspec.UnsetType = msgspec.UNSET
    concurrency: Annotated[int, msgspec.Meta(ge=1)] | msgspec.UnsetType = msgspec.UNSET
    price: Annotated[float, msgspec.Meta(ge=0)] | msgspec.UnsetType = msgspec.UNSET
    inert: frozenset[str] | msgspec.UnsetType = msgspec.UNSET
    volatility: Annotated[float, msgspec.Meta(ge=0, le=1)] | msgspec.UnsetType = msgspec.UNSET
    volatile: bool | msgspec.UnsetType = msgspec.UNSET
    consumes: bool | msgspec.UnsetType = msgspec.UNSET
    network: bool | msgspec.UnsetType = msgspec.UNSET
    result_limit: Annotated[int, msgspec.Meta(ge=1)] | msgspec.UnsetType = msgspec.UNSET


class _Hooks(msgspec.Struct, forbid_unknown_fields=True):
    isolated: bool = False
    warm: Any = None
    close: Any = None
    ahead: Any = None
    fingerprint: Any = None


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


@overload
def tool(**declared: Unpack[Declaration]) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(function: Callable[..., Any] | None = None, /, **declared: Unpack[Declaration]) -> Any:
    """Make a typed function, sync or async, a tool: `@tool` or `@tool(effect=Effect.READ, ...)`.

    Its parameters become the arguments' JSON schema, its docstring the description. Raises `PluginError`.
    """
    if function is not None:
        return _declared(function, dict(declared))
    return lambda decorated: _declared(decorated, dict(declared))


def _declared(function: Callable[..., Any], declared: dict[str, Any]) -> Tool[..., Any]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        raise TypeError(f"@tool needs a function, not {function!r}")
    try:
        return _built(function, declared, code.co_filename, code.co_firstlineno)
    except SchemaError as error:
        where = f"{code.co_filename}:{code.co_firstlineno}"
        raise PluginError(f"{where}: tool {function.__name__!r}: {error}", param=function.__name__) from None


def _built(function: Callable[..., Any], declared: dict[str, Any], file: str, line: int) -> Tool[..., Any]:
    plain = {key: value for key, value in declared.items() if key not in _HOOKS}
    checked = _converted({"name": function.__name__, **plain}, _Checked)
    hooks = _converted({key: value for key, value in declared.items() if key in _HOOKS}, _Hooks)
    signature = read_signature(checked.name, function)
    _check_kind(function, hooks)
    _check_fingerprint(hooks.fingerprint, signature)
    spec = _spec(
        checked,
        inspect.getdoc(function) or "",
        signature.parameters,
        has_fingerprint=hooks.fingerprint is not None,
    )
    check_ahead(spec, hooks.ahead)
    _check_ahead_kind(function, hooks.ahead, signature)
    return Tool(
        spec=spec,
        function=function,
        file=file,
        line=line,
        arguments=signature.arguments,
        wants_context=signature.wants_context,
        is_async=inspect.iscoroutinefunction(function),
        isolated=hooks.isolated,
        warm=hooks.warm,
        close=hooks.close,
        ahead=hooks.ahead,
        fingerprint=hooks.fingerprint,
    )


_HOOKS = frozenset(_Hooks.__struct_fields__)


def _converted(declared: dict[str, Any], to: type[T]) -> T:
    for key, value in declared.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise SchemaError(f"{key}: must be finite")
    try:
        return msgspec.convert(declared, to)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$.")
        raise SchemaError(f"{where.rstrip('`')}: {reason}" if where else reason) from error


def declared_spec(description: str, parameters: dict[str, Any], declared: Mapping[str, Any]) -> ToolSpec:
    """The spec of a tool that is no `Tool`, with the plain keys of a `Declaration`. Raises `SchemaError`."""
    return _spec(_converted(dict(declared), _Checked), description, parameters, has_fingerprint=False)


def _spec(
    checked: _Checked, description: str, parameters: dict[str, Any], *, has_fingerprint: bool
) -> ToolSpec:
    stated = {
        key: value for key, value in msgspec.structs.asdict(checked).items() if value is not msgspec.UNSET
    }
    if checked.effect is Effect.READ:
        if checked.writes:
            raise SchemaError("writes: a tool with effect `read` writes nothing; drop one of the two")
        stated["writes"] = frozenset()
    unknown = sorted(stated.get("inert", frozenset()) - parameters.get("properties", {}).keys())
    if unknown:
        raise SchemaError(f"inert: no such argument: {', '.join(unknown)}")
    return narrowed(
        ToolSpec(description=description, parameters=parameters, has_fingerprint=has_fingerprint, **stated)
    )


def _check_kind(function: Callable[..., Any], hooks: _Hooks) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise SchemaError("a generator has no one result; return a list")
    if hooks.isolated and inspect.iscoroutinefunction(function):
        raise SchemaError("isolated: worker processes run sync functions only; declare it with `def`")
    both_async = inspect.iscoroutinefunction(hooks.close) and inspect.iscoroutinefunction(function)
    if hooks.close is not None and not both_async:
        raise SchemaError("close: must be an async function, of an async tool")
    if hooks.warm is None:
        return
    if not callable(hooks.warm):
        raise SchemaError("warm: must be callable")
    if inspect.iscoroutinefunction(hooks.warm) and not inspect.iscoroutinefunction(function):
        raise SchemaError("warm: a sync tool needs a sync warm-up, worker processes have no event loop")


def _check_fingerprint(fingerprint: Any, signature: Signature) -> None:
    if fingerprint is None:
        return
    if signature.wants_context:
        raise SchemaError("fingerprint: it sees the arguments only, so the tool can't take a RunContext")
    if not callable(fingerprint) or inspect.iscoroutinefunction(fingerprint):
        raise SchemaError("fingerprint: must be a sync function")
    try:
        inspect.signature(fingerprint).bind(**dict.fromkeys(signature.arguments.__struct_fields__))
    except TypeError as error:
        raise SchemaError(f"fingerprint: does not take the tool's arguments: {error}") from error


def check_ahead(spec: ToolSpec, ahead: Any) -> None:
    """Raises `SchemaError` where the effect and what runs ahead in the tool's place don't go together."""
    if spec.effect.prepares and ahead is None:
        raise SchemaError(
            f"effect: `{spec.effect.value}` needs `ahead`, the function that runs in the tool's place"
        )
    if ahead is not None and not spec.effect.prepares:
        raise SchemaError(
            "ahead: is run for the effects `warm` and `dry_run` only; state one of them, or drop it"
        )
    if ahead is not None and not callable(ahead):
        raise SchemaError("ahead: must be a function")


def _check_ahead_kind(function: Callable[..., Any], ahead: Any, signature: Signature) -> None:
    if ahead is None:
        return
    if inspect.iscoroutinefunction(ahead) != inspect.iscoroutinefunction(function):
        raise SchemaError("ahead: must be async as the tool is, for it runs where the tool would")
    names = dict.fromkeys(signature.arguments.__struct_fields__)
    try:
        inspect.signature(ahead).bind(*[None] * signature.wants_context, **names)
    except TypeError as error:
        raise SchemaError(f"ahead: does not take the tool's arguments: {error}") from error
