"""A LangGraph loop with wrapped tools: a model node, bound to them, and a ToolNode."""

import asyncio

from common import (
    ANSWER_TOKENS,
    CALL_TOKENS,
    MODEL,
    QUESTION,
    READS,
    base_url,
    call,
    report,
    slow_file,
    slow_weather,
)
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from paste_proxy.client import wrap

model = ChatOpenAI(
    base_url=f"{base_url()}/v1",
    api_key="unused",
    model=MODEL,
    streaming=True,
    max_retries=0,
    max_tokens=CALL_TOKENS,
)
tools = [tool(slow_weather), tool(slow_file)]


async def think(state: MessagesState) -> dict:
    first = len(state["messages"]) == 1
    bound = model.bind_tools(tools, tool_choice="required" if first else "none", strict=True)
    bound = bound.bind(max_tokens=CALL_TOKENS if first else ANSWER_TOKENS)
    return {"messages": [await bound.ainvoke(state["messages"])]}


async def main() -> None:
    global tools
    tools = wrap(tools, proxy=base_url(), effects=READS)
    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("act", ToolNode(tools))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", lambda state: "act" if state["messages"][-1].tool_calls else END)
    graph.add_edge("act", "think")
    messages = (await graph.compile().ainvoke({"messages": [HumanMessage(QUESTION)]}))["messages"]
    said = [message for message in messages if isinstance(message, AIMessage)]
    report(
        [call(one["id"], one["name"], one["args"]) for message in said for one in message.tool_calls], len(said)
    )


asyncio.run(main())
