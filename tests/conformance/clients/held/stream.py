"""The OpenAI or the Anthropic SDK asks for a stream: what comes, or what is raised, as JSON.

Run by the clients' own Python: `stream.py URL API`.
"""

import json
import sys
from collections.abc import Iterator


def chat(url: str) -> Iterator[str]:
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    messages = [{"role": "user", "content": "hi"}]
    for chunk in client.chat.completions.create(model="m", messages=messages, stream=True):
        yield chunk.choices[0].delta.content or ""


def responses(url: str) -> Iterator[str]:
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    for event in client.responses.create(model="m", input="hi", stream=True):
        yield event.delta


def messages(url: str) -> Iterator[str]:
    import anthropic

    client = anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0)
    said = [{"role": "user", "content": "hi"}]
    for event in client.messages.create(model="m", max_tokens=9, messages=said, stream=True):
        yield event.delta.text


def main() -> None:
    url, api = sys.argv[1:]
    told = {"text": "", "raised": "", "message": ""}
    try:
        for text in {"chat": chat, "responses": responses, "messages": messages}[api](url):
            told["text"] += text
    except Exception as error:  # noqa: BLE001 - what an agent would see is the result
        told |= {"raised": type(error).__name__, "message": str(error)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
