"""What `@tool` makes of a function, and what it refuses."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pytest

from paste_proxy.errors import PluginError
from paste_proxy.tools import Effect, RunContext, Tool, tool
from paste_proxy.tools.spec import GLOBAL_SCOPE


def test_a_bare_tool_is_never_run_ahead_and_touches_everything() -> None:
    @tool
    def greet(name: str) -> str:
        """Say hello.

        Politely.
        """
        return f"hello {name}"

    assert greet.spec.name == "greet"
    assert greet.spec.description == "Say hello.\n\nPolitely."
    assert greet.spec.effect is Effect.NEVER
    assert greet.spec.reads == greet.spec.writes == {GLOBAL_SCOPE}
    assert greet("you") == "hello you"


def test_all_keys_reach_the_specification() -> None:
    @tool(
        name="look-up",
        effect="read",
        reads=["files"],
        max_age=1,
        retention=2.0,
        timeout=3,
        concurrency=4,
        price=0.5,
        inert={"why"},
        result_limit=6,
        isolated=True,
        warm=lambda: None,
        fingerprint=lambda path, why: path,
    )
    def look(path: str, why: str = "") -> str:
        return path

    spec = look.spec
    assert (spec.name, spec.effect, spec.reads, spec.writes) == (
        "look-up",
        Effect.READ,
        frozenset({"files"}),
        frozenset(),
    )
    assert (spec.max_age, spec.retention, spec.timeout, spec.concurrency) == (1.0, 2.0, 3.0, 4)
    assert (spec.price, spec.inert, spec.result_limit, spec.has_fingerprint) == (
        0.5,
        frozenset({"why"}),
        6,
        True,
    )
    assert look.isolated
    assert look.warm is not None


def test_a_read_writes_nothing_and_may_depend_on_nothing() -> None:
    @tool(effect=Effect.READ, reads=())
    def constant() -> int:
        return 1

    assert constant.spec.writes == constant.spec.reads == frozenset()


def test_the_context_is_no_argument() -> None:
    @tool
    async def who(context: RunContext, name: str) -> str:
        return context.tenant + name

    assert who.wants_context
    assert who.is_async
    assert list(who.spec.parameters["properties"]) == ["name"]


def test_a_wrapped_function_is_declared_where_it_was_written() -> None:
    def plain(x: int) -> int:
        return x

    @functools.wraps(plain)
    def wrapper(*args: Any, **kwargs: Any) -> int:
        return plain(*args, **kwargs)

    assert tool(wrapper).line == plain.__code__.co_firstlineno


def _no_annotation(x) -> None: ...  # type: ignore[no-untyped-def]
def _star(*x: int) -> None: ...
def _stars(**x: int) -> None: ...
def _positional(x: int, /) -> None: ...
def _late_context(x: int, context: RunContext) -> None: ...
def _wrong_default(x: int = "a") -> None: ...  # type: ignore[assignment]
def _outside(x: Annotated[int, msgspec.Meta(ge=1)] = 0) -> None: ...
def _unknown_type(x: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821
def _unsupported(x: Callable[[], int]) -> None: ...
def _mutable(x: list[int] = [1]) -> None: ...  # noqa: B006 - what is refused
def _generator() -> Any:
    yield 1


def _fine(x: int = 0) -> int:
    return x


async def _fine_async(x: int = 0) -> int:
    return x


def _with_context(context: RunContext, x: int = 0) -> None: ...


class Node(msgspec.Struct):
    below: "list[Node]" = []


def _recursive(x: Node) -> None: ...


WRONG: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (_no_annotation, {}, "parameter 'x' has no annotation"),
    (_star, {}, "needs a named parameter"),
    (_stars, {}, "needs a named parameter"),
    (_positional, {}, "needs a named parameter"),
    (_late_context, {}, "must be the first parameter"),
    (_wrong_default, {}, "default 'a': Expected `int`, got `str`"),
    (_outside, {}, "default 0: Expected `int` >= 1"),
    (_unknown_type, {}, "unsupported annotation: name 'Nowhere' is not defined"),
    (_unsupported, {}, "unsupported annotation"),
    (_mutable, {}, "non-empty mutable"),
    (_recursive, {}, "contains itself"),
    (_generator, {}, "return a list"),
    (_fine, {"effect": "reed"}, "effect: Invalid enum value 'reed'"),
    (_fine, {"effect": Effect.READ, "writes": {"x"}}, "writes: a tool with effect `read` writes nothing"),
    (_fine, {"reads": "files"}, "reads: Expected `array`, got `str`"),
    (_fine, {"reads": [""]}, "reads[0]: Expected `str` of length >= 1"),
    (_fine, {"max_age": -1}, "max_age: Expected `float` >= 0.0"),
    (_fine, {"retention": float("nan")}, "retention: must be finite"),
    (_fine, {"retention": float("inf")}, "retention: must be finite"),
    (_fine, {"timeout": 0}, "timeout: Expected `float` > 0.0"),
    (_fine, {"concurrency": 0}, "concurrency: Expected `int` >= 1"),
    (_fine, {"concurrency": 1.5}, "concurrency: Expected `int`"),
    (_fine, {"price": -0.1}, "price: Expected `float` >= 0.0"),
    (_fine, {"result_limit": 0}, "result_limit: Expected `int` >= 1"),
    (_fine, {"inert": {"y"}}, "inert: no such argument: y"),
    (_fine, {"name": "two words"}, "name: Expected `str` matching regex"),
    (_fine, {"name": "x" * 65}, "name: Expected `str` matching regex"),
    (_fine, {"name": "x\n"}, "name: Expected `str` matching regex"),
    (_fine, {"efect": "read"}, "unknown field `efect`"),
    (_fine, {"isolated": "yes"}, "isolated: Expected `bool`"),
    (_fine_async, {"isolated": True}, "worker processes run sync functions only"),
    (_fine, {"warm": 1}, "warm: must be callable"),
    (_fine, {"warm": _fine_async}, "a sync tool needs a sync warm-up"),
    (_fine_async, {"close": lambda: None}, "close: must be an async function, of an async tool"),
    (_fine, {"close": _fine_async}, "close: must be an async function, of an async tool"),
    (_fine, {"fingerprint": 1}, "fingerprint: must be a sync function"),
    (_fine, {"fingerprint": _fine_async}, "fingerprint: must be a sync function"),
    (_fine, {"fingerprint": lambda: 1}, "fingerprint: does not take the tool's arguments"),
    (_with_context, {"fingerprint": lambda x: 1}, "fingerprint: it sees the arguments only"),
    (_fine, {"effect": "staged"}, "effect: Invalid enum value 'staged'"),
    (_fine, {"effect": "warm"}, "effect: `warm` needs `ahead`"),
    (_fine, {"effect": "dry_run", "warm": _fine}, "effect: `dry_run` needs `ahead`"),
    (_fine, {"effect": "read", "writes": (), "ahead": _fine}, "ahead: is run for the effects `warm` and"),
    (_fine, {"effect": "warm", "ahead": 1}, "ahead: must be a function"),
    (_fine, {"effect": "warm", "ahead": _fine_async}, "ahead: must be async as the tool is"),
    (_fine_async, {"effect": "warm", "ahead": _fine}, "ahead: must be async as the tool is"),
    (_fine, {"effect": "warm", "ahead": lambda: 1}, "ahead: does not take the tool's arguments"),
    (_with_context, {"effect": "warm", "ahead": lambda x: 1}, "ahead: does not take the tool's arguments"),
]


@pytest.mark.parametrize(("function", "declared", "message"), WRONG)
def test_wrong_declarations_name_file_and_line(
    function: Callable[..., Any], declared: dict[str, Any], message: str
) -> None:
    with pytest.raises(PluginError) as caught:
        tool(**declared)(function)
    place = f"{__file__}:{inspect.unwrap(function).__code__.co_firstlineno}: "
    assert caught.value.message.startswith(place)
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_only_functions_are_tools() -> None:
    with pytest.raises(TypeError, match="needs a function"):
        tool(len)


def test_declaring_runs_and_registers_nothing() -> None:
    def explode() -> None:
        raise AssertionError("was run")

    @tool(warm=explode, fingerprint=explode)
    def quiet() -> None:
        explode()

    assert isinstance(quiet, Tool)


def test_what_runs_ahead_in_a_tool_s_place_leaves_what_it_writes_as_it_is() -> None:
    @tool(effect="dry_run", writes={"orders"}, ahead=lambda context, item: (context.tenant, item))
    def order(context: RunContext, item: str) -> str:
        return item

    assert (order.spec.effect, order.spec.writes) == (Effect.DRY_RUN, frozenset({"orders"}))
    assert order.prepare(RunContext("us", "s"), {"item": "tea"}) == ("us", "tea")


def test_what_is_volatile_or_consumes_never_runs_ahead() -> None:
    clock = tool(effect="read", volatile=True)(_fine)
    inbox = tool(effect="read", consumes=True)(_fine)
    assert (clock.spec.effect, clock.spec.writes) == (Effect.NEVER, frozenset())
    assert (inbox.spec.effect, inbox.spec.writes) == (Effect.NEVER, frozenset({"*"}))
    prepared = tool(effect="warm", consumes=True, ahead=_fine)(_fine)
    assert prepared.spec.effect is Effect.WARM, "what prepares it uses nothing up"
