"""litellm's completion(), streamed and put together by its own chunk builder."""

import litellm
from common import ANSWER_TOKENS, CALL_TOKENS, MODEL, QUESTION, base_url, call, chat_tools, report, run_tool

messages: list = [{"role": "user", "content": QUESTION}]
calls = []
for choice, limit in (("required", CALL_TOKENS), ("none", ANSWER_TOKENS)):
    stream = litellm.completion(
        model=f"openai/{MODEL}",
        api_base=f"{base_url()}/v1",
        api_key="unused",
        messages=messages,
        tools=chat_tools(),
        tool_choice=choice,
        max_tokens=limit,
        stream=True,
        num_retries=0,
    )
    message = litellm.stream_chunk_builder(list(stream), messages=messages).choices[0].message
    messages.append(message.model_dump(exclude_none=True))
    for one in message.tool_calls or ():
        made = call(one.id, one.function.name, one.function.arguments)
        calls.append(made)
        messages.append(
            {"role": "tool", "tool_call_id": one.id, "content": run_tool(made["name"], made["arguments"])}
        )
report(calls, 2)
