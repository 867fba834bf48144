"""A LangGraph loop of a model node and a ToolNode, with ChatOpenAI, streamed."""

from common import (
    ANSWER_TOKENS,
    CALL_TOKENS,
    DESCRIPTIONS,
    MODEL,
    QUESTION,
    base_url,
    call,
    chat_tools,
    get_weather,
    read_file,
    report,
)
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

model = ChatOpenAI(
    base_url=f"{base_url()}/v1",
    api_key="unused",
    model=MODEL,
    streaming=True,
    max_retries=0,
    max_tokens=CALL_TOKENS,
)
tools = [
    StructuredTool.from_function(function, name=function.__name__, description=DESCRIPTIONS[function.__name__])
    for function in (get_weather, read_file)
]


def think(state: MessagesState) -> dict:
    first = len(state["messages"]) == 1
    bound = model.bind(
        tools=chat_tools(),
        tool_choice="required" if first else "none",
        max_tokens=CALL_TOKENS if first else ANSWER_TOKENS,
    )
    return {"messages": [bound.invoke(state["messages"])]}


graph = StateGraph(MessagesState)
graph.add_node("think", think)
graph.add_node("act", ToolNode(tools))
graph.add_edge(START, "think")
graph.add_conditional_edges("think", lambda state: "act" if state["messages"][-1].tool_calls else END)
graph.add_edge("act", "think")
messages = graph.compile().invoke({"messages": [HumanMessage(QUESTION)]})["messages"]
said = [message for message in messages if isinstance(message, AIMessage)]
report([call(one["id"], one["name"], one["args"]) for message in said for one in message.tool_calls], len(said))
