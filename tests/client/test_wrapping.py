"""`wrap`: what it takes, what it gives back, and what it refuses."""

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from paste_proxy.client import Effect, WrapError, close, wrap
from paste_proxy.client.alike import alike
from paste_proxy.client.functions import bind_function, bind_tool
from paste_proxy.client.protocol import offered
from paste_proxy.tools.authoring import Tool, tool
from paste_proxy.tools.ports import RunContext

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close()


def add(one: int, other: int = 2) -> int:
    """Add."""
    return one + other


async def later(word: str) -> str:
    """Say it later."""
    await asyncio.sleep(0)
    return word


@tool(effect=Effect.READ, reads={"clock"}, max_age=5)
def look(word: str) -> str:
    """Look it up."""
    return word.upper()


async def test_functions_stay_functions_with_their_names_and_signatures() -> None:
    wrapped_add, wrapped_later = wrap([add, later], proxy=NOWHERE, effects={"add": "read"})
    assert (wrapped_add(1), wrapped_add(1, 3), wrapped_add(other=1, one=1)) == (3, 4, 2)  # type: ignore[operator]
    assert await wrapped_later("hello") == "hello"  # type: ignore[operator]
    functions: list[Any] = [wrapped_add, add]
    assert inspect.signature(functions[0]) == inspect.signature(functions[1])
    assert (wrapped_add.__name__, wrapped_add.__doc__) == ("add", "Add.")
    assert inspect.iscoroutinefunction(wrapped_later)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        wrapped_add()  # type: ignore[operator]


def test_tools_stay_tools_with_what_they_declare() -> None:
    [wrapped] = wrap([look], proxy=NOWHERE)
    assert isinstance(wrapped, Tool)
    assert wrapped("word") == "WORD"
    assert wrapped.spec == look.spec


def test_what_is_declared_beside_comes_on_top() -> None:
    bound = bind_tool(look, {"max_age": 9, "effect": "never"})
    assert (bound.spec.max_age, bound.spec.effect) == (9, Effect.NEVER)
    assert bound.spec.reads == {"clock"}
    assert bound.spec.writes == {"*"}
    stated = {"type": "object", "properties": {"one": {"type": "integer"}}}
    bound = bind_function(add, {"parameters": stated, "effect": Effect.READ})
    assert (bound.spec.parameters, bound.spec.writes, bound.spec.description) == (stated, frozenset(), "Add.")
    assert bind_function(add, {}).spec.effect is Effect.NEVER


def test_a_method_and_a_closure_can_be_wrapped() -> None:
    class Shelf:
        def find(self, word: str) -> str:
            """Find."""
            return word[::-1]

    [find] = wrap([Shelf().find], proxy=NOWHERE)
    assert find("abc") == "cba"


@pytest.mark.parametrize(
    ("given", "keys", "reason"),
    [
        ([3], {}, "builtins.int is no kind of tool"),
        ([add, add], {}, "two tools are called add"),
        ([add], {"effects": {"ad": "read"}}, "there is no tool 'ad'"),
        ([add], {"effects": {"add": "reed"}}, "effect"),
        ([add], {"declared": {"add": {"max_age": -1}}}, "max_age"),
        ([add], {"declared": {"add": {"inert": ["three"]}}}, "three"),
        ([add], {"declared": {"add": {"max_age": 10**9}}}, "max_age"),
        ([lambda word: word], {}, "<lambda>"),
        ([look], {"declared": {"look": {"warmth": 1}}}, "warmth"),
    ],
)
def test_what_can_t_be_wrapped_is_said(given: list[Any], keys: dict[str, Any], reason: str) -> None:
    with pytest.raises(WrapError, match=reason):
        wrap(given, proxy=NOWHERE, **keys)


def test_a_tool_with_the_proxy_s_context_is_none_for_agents() -> None:
    @tool
    def mine(context: RunContext, word: str) -> str:
        """Of a tenant."""
        return context.tenant + word

    with pytest.raises(WrapError, match="RunContext"):
        wrap([mine], proxy=NOWHERE)


def test_a_fingerprint_that_fails_equals_nothing() -> None:
    @tool(effect=Effect.READ, fingerprint=lambda word: {"a": 1}[word])
    def marked(word: str) -> str:
        """Marked."""
        return word

    mark = bind_tool(marked, {}).mark
    assert mark is not None
    assert mark({"word": "a"}) == mark({"word": "a"})
    assert mark({"word": "b"}) != mark({"word": "b"})


def test_values_are_alike_if_a_tool_could_not_tell_them_apart() -> None:
    assert alike({"a": [1, {"b": "c"}]}, {"a": [1, {"b": "c"}]})
    assert alike({"a": 1}, {"a": 1, "default": 2})
    assert alike({"a": 1, "why": "x"}, {"a": 1, "why": "y"}, {"why"})
    for other in ([1.0], [True], [1, 1], (1,), {"0": 1}):
        assert not alike({"a": [1]}, {"a": other})
    assert not alike({"a": {"b": 1}}, {"a": {"c": 1}})


def test_an_effect_that_prepares_needs_the_function_that_does_it() -> None:
    with pytest.raises(WrapError, match="`warm` needs `ahead`"):
        wrap([add], proxy=NOWHERE, effects={"add": "warm"})
    with pytest.raises(WrapError, match="ahead: is run for the effects"):
        wrap([look], proxy=NOWHERE, declared={"look": {"ahead": len}})
    bound = bind_tool(look, {"effect": "dry_run", "ahead": len})
    assert bound.prepare is not None
    assert bound.spec.effect is Effect.DRY_RUN


def test_what_an_author_calls_volatile_no_wrapping_makes_a_read() -> None:
    @tool(volatile=True, writes=())
    def now() -> float:
        return 0.0

    for bound in (bind_tool(now, {"effect": "read"}), bind_function(add, {"effect": "read", "consumes": True})):
        assert bound.spec.effect is Effect.NEVER
        assert offered(bound.spec).spec() == bound.spec
