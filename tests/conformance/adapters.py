"""Wrapped tools of each framework, beside unwrapped ones; run by the frameworks' environment, without a proxy.

`python adapters.py` prints the names of its checks as they pass. An `assert` that fails ends it.
"""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, Literal

from agents import FunctionTool, RunContextWrapper, function_tool
from agents.tool_context import ToolContext
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolArg, StructuredTool, ToolException
from langchain_core.tools import tool as langchain_tool
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, RunContext, Tool
from pydantic_ai.models.test import TestModel

from paste_proxy.client import WrapError, close, langchain_tools, openai_agents, pydantic_tools, wrap

NOWHERE = "http://127.0.0.1:9"


def weather(city: Literal["London", "Paris"], days: int = 1) -> str:
    """The weather in a city."""
    return f"{city} {days}"


async def failing(path: str) -> str:
    """Fails."""
    raise ValueError(path)


def refuses(make: Callable[[], Any], reason: str) -> None:
    said = "nothing"
    try:
        make()
    except WrapError as error:
        said = str(error)
    assert reason in said, said


async def fails(run: Any) -> None:
    try:
        result = await run
    except Exception:  # noqa: BLE001 - whatever it is
        return
    raise AssertionError(f"an error became a result: {result}")


# -- OpenAI Agents SDK --------------------------------------------------------------------------------------


def called(tool: FunctionTool, arguments: str, context: Any = None) -> Any:
    made = ToolContext(context=context, tool_name=tool.name, tool_call_id="c1", tool_arguments=arguments)
    return tool.on_invoke_tool(made, arguments)


async def agents_sdk() -> None:
    tools = [function_tool(weather), function_tool(failing)]
    wrapped = wrap(tools, proxy=NOWHERE, effects={"weather": "read", "failing": "read"})
    for one, other in zip(tools, wrapped, strict=True):
        assert type(one) is type(other)
        assert (one.name, one.params_json_schema) == (other.name, other.params_json_schema)
        for arguments in ('{"city": "Paris", "days": 2}', '{"city": "Rome"}', "{", '{"path": "x"}'):
            assert await called(one, arguments) == await called(other, arguments)
    bound = openai_agents.bind(tools[0], {"effect": "read"})
    assert (await bound.run({"city": "Paris"}, None), bound.needs_world) == ("Paris 1", False)
    await fails(openai_agents.bind(tools[1], {"effect": "read"}).run({"path": "x"}, None))

    @function_tool
    async def whose(context: RunContextWrapper[str]) -> str:
        return context.context

    bound = openai_agents.bind(whose, {"effect": "read"})
    assert (await bound.run({}, ("mine",)), bound.needs_world) == ("mine", True)
    assert await called(wrap([whose], proxy=NOWHERE)[0], "{}", "yours") == "yours"

    @function_tool(needs_approval=True)
    async def approved() -> str:
        return ""

    refuses(lambda: openai_agents.bind(approved, {"effect": "read"}), "approval")


# -- LangChain ----------------------------------------------------------------------------------------------


class Shelf(BaseTool):
    name: str = "shelf"
    description: str = "A shelf."

    def _run(self, word: str) -> str:
        return word[::-1]


async def langchain() -> None:
    @langchain_tool
    async def later(word: str) -> str:
        """Later."""
        return word * 2

    @langchain_tool(response_format="content_and_artifact")
    def both(word: str) -> tuple[str, int]:
        """Both."""
        return word, len(word)

    def refusing(word: str) -> str:
        """Refuses."""
        raise ToolException(f"not {word}")

    kept = StructuredTool.from_function(refusing, handle_tool_error=True)
    tools: list[BaseTool] = [langchain_tool(weather), later, both, kept, Shelf()]
    wrapped = wrap(tools, proxy=NOWHERE, effects={tool.name: "read" for tool in tools})
    for one, other in zip(tools, wrapped, strict=True):
        assert isinstance(other, type(one))
        assert one.tool_call_schema.model_json_schema() == other.tool_call_schema.model_json_schema()
        arguments = {"city": "Paris"} if one.name == "weather" else {"word": "abc"}
        call = {"type": "tool_call", "id": "c1", "name": one.name, "args": arguments}
        for given in (arguments, call):
            assert await one.ainvoke(given) == await other.ainvoke(given)
            if one.name != "later":
                assert one.invoke(given) == other.invoke(given)
        assert isinstance(await other.ainvoke(call), ToolMessage)
        bound = langchain_tools.bind(one, {"effect": "read"})
        if one.name == "refusing":
            await fails(asyncio.to_thread(bound.run, arguments, None))
        else:
            made = (
                bound.run(arguments, None) if bound.is_async else asyncio.to_thread(bound.run, arguments, None)
            )
            assert await made == (("abc", 3) if one.name == "both" else await one.ainvoke(arguments))
    assert [langchain_tools.bind(tool, {}).is_async for tool in tools] == [False, True, False, False, False]

    @langchain_tool
    def mine(word: str, user: Annotated[str, InjectedToolArg]) -> str:
        """Of a user."""
        return user + word

    @langchain_tool
    def configured(word: str, config: RunnableConfig) -> str:
        """Of a run."""
        return str(config["configurable"]["user"]) + word

    refuses(lambda: langchain_tools.bind(mine, {"effect": "read"}), "user")
    refuses(lambda: langchain_tools.bind(configured, {"effect": "read"}), "config")
    [wrapped_one] = wrap([configured], proxy=NOWHERE)
    assert wrapped_one.invoke({"word": "x"}, {"configurable": {"user": "me "}}) == "me x"


# -- pydantic-ai --------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Deps:
    user: str


class Query(BaseModel):
    word: str
    limit: int = 3


async def pydantic() -> None:
    def whose(context: RunContext[Deps], word: str) -> str:
        """Whose."""
        return f"{context.deps.user} {word}"

    def search(query: Query) -> str:
        """Search."""
        return f"{query.word} {query.limit}"

    async def again(word: str) -> str:
        """Again."""
        raise ModelRetry(word)

    tools: list[Tool[Any]] = [Tool(weather), Tool(whose), Tool(search)]
    wrapped = wrap(tools, proxy=NOWHERE, effects={tool.name: "read" for tool in tools})
    outputs = []
    for offered in (tools, wrapped):
        run = await Agent(TestModel(), tools=offered, deps_type=Deps).run("go", deps=Deps("me"))
        outputs.append(run.output)
    assert outputs[0] == outputs[1]
    assert [one.tool_def for one in tools] == [one.tool_def for one in wrapped]
    weathered, owned, searched = (pydantic_tools.bind(tool, {"effect": "read"}) for tool in tools)
    assert await weathered.run({"city": "Paris"}, None) == "Paris 1"
    assert await searched.run({"word": "x"}, None) == "x 3"
    assert (owned.needs_world, weathered.needs_world) == (True, False)
    await fails(weathered.run({"city": "Rome"}, None))
    await fails(pydantic_tools.bind(Tool(again), {"effect": "read"}).run({"word": "x"}, None))
    approved = Tool(weather, requires_approval=True)
    refuses(lambda: pydantic_tools.bind(approved, {"effect": "read"}), "approval")


async def main() -> None:
    for check in (agents_sdk, langchain, pydantic):
        await check()
        print(check.__name__, flush=True)
    await asyncio.to_thread(close)


if __name__ == "__main__":
    asyncio.run(main())
