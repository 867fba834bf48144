"""The openai SDK, responses API: the server keeps the history, and the client names the last reply."""

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
news: list = [{"role": "user", "content": QUESTION}]
previous: dict = {}
calls = []
for choice, limit in (("required", CALL_TOKENS), ("required", CALL_TOKENS), ("none", ANSWER_TOKENS)):
    response = client.responses.create(
        model=MODEL, input=news, tools=tools, tool_choice=choice, max_output_tokens=limit, **previous
    )
    previous = {"previous_response_id": response.id}
    news = []
    for item in response.output:
        if item.type == "function_call":
            made = call(item.call_id, item.name, item.arguments)
            calls.append(made)
            output = run_tool(made["name"], made["arguments"])
            news.append({"type": "function_call_output", "call_id": item.call_id, "output": output})
report(calls, 3)
