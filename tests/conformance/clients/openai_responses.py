"""The openai SDK, responses API, streamed; the history is sent along."""

from common import (
    ANSWER_TOKENS,
    CALL_TOKENS,
    DESCRIPTIONS,
    MODEL,
    QUESTION,
    SCHEMAS,
    base_url,
    call,
    report,
    run_tool,
)
from openai import OpenAI

client = OpenAI(base_url=f"{base_url()}/v1", api_key="unused", max_retries=0)
tools: list = [
    {
        "type": "function",
        "name": name,
        "description": DESCRIPTIONS[name],
        "parameters": SCHEMAS[name],
        "strict": True,
    }
    for name in SCHEMAS
]
items: list = [{"role": "user", "content": QUESTION}]
calls = []
for choice, limit in (("required", CALL_TOKENS), ("none", ANSWER_TOKENS)):
    with client.responses.stream(
        model=MODEL, input=items, tools=tools, tool_choice=choice, max_output_tokens=limit
    ) as stream:
        response = None
        for event in stream:
            if event.type in ("response.completed", "response.incomplete"):
                response = event.response
    assert response is not None
    for item in response.output:
        items.append(item.to_dict())
        if item.type == "function_call":
            made = call(item.call_id, item.name, item.arguments)
            calls.append(made)
            output = run_tool(made["name"], made["arguments"])
            items.append({"type": "function_call_output", "call_id": item.call_id, "output": output})
report(calls, 2)
