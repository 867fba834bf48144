"""The openai SDK, chat completions, streamed: the plain loop that everybody writes."""

from common import ANSWER_TOKENS, CALL_TOKENS, MODEL, QUESTION, base_url, call, chat_tools, report, run_tool
from openai import OpenAI

client = OpenAI(base_url=f"{base_url()}/v1", api_key="unused", max_retries=0)
messages: list = [{"role": "user", "content": QUESTION}]
calls = []
for choice, limit in (("required", CALL_TOKENS), ("none", ANSWER_TOKENS)):
    stream = client.chat.completions.create(
        model=MODEL, messages=messages, tools=chat_tools(), tool_choice=choice, max_tokens=limit, stream=True
    )
    text, asked = "", []
    for chunk in stream:
        for one in chunk.choices:
            text += one.delta.content or ""
            for delta in one.delta.tool_calls or ():
                if delta.id:
                    asked.append({"id": delta.id, "name": delta.function.name, "arguments": ""})
                asked[-1]["arguments"] += delta.function.arguments or ""
    message: dict = {"role": "assistant", "content": text}
    if asked:
        message["tool_calls"] = [
            {
                "id": one["id"],
                "type": "function",
                "function": {"name": one["name"], "arguments": one["arguments"]},
            }
            for one in asked
        ]
    messages.append(message)
    for one in asked:
        made = call(one["id"], one["name"], one["arguments"])
        calls.append(made)
        messages.append(
            {"role": "tool", "tool_call_id": one["id"], "content": run_tool(made["name"], made["arguments"])}
        )
report(calls, 2)
