"""The tools of all agents, and how they report. Imported by the programs beside it, not by the tests."""

import asyncio
import json
import sys
import time
from typing import Any, Literal

MODEL = "tiny"
QUESTION = "What is the weather in Paris, and what do my notes say?"
ANSWER_TOKENS = 16
"""The final answer of a model with random weights says nothing at any length."""
CALL_TOKENS = 4000
"""Room for 130 calls. The grammar lets the list end after every call, and a model with random weights ends it
every twelfth time; a call that is cut off ends the loop."""

WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["London", "Paris"]},
        "unit": {"type": "string", "enum": ["C", "F"]},
    },
    "required": ["city", "unit"],
    "additionalProperties": False,
}
"""Only choices: a model with random weights fills free strings with noise without end."""
NOTES: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string", "enum": ["notes.txt", "todo.txt"]}},
    "required": ["path"],
    "additionalProperties": False,
}
SCHEMAS = {"get_weather": WEATHER, "read_file": NOTES}
DESCRIPTIONS = {"get_weather": "The weather in a city.", "read_file": "The text of a file."}


def run_tool(name: str, arguments: dict[str, Any]) -> str:
    return f"{name} of {json.dumps(arguments, sort_keys=True)}: fine"


def get_weather(city: str, unit: str) -> str:
    return run_tool("get_weather", {"city": city, "unit": unit})


def read_file(path: str) -> str:
    return run_tool("read_file", {"path": path})


def chat_tools() -> list[Any]:
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": DESCRIPTIONS[name],
                "parameters": SCHEMAS[name],
                "strict": True,
            },
        }
        for name in SCHEMAS
    ]


def call(call_id: str, name: str, arguments: Any) -> dict[str, Any]:
    """`arguments` is an object, or its JSON text."""
    return {
        "id": call_id,
        "name": name,
        "arguments": json.loads(arguments) if isinstance(arguments, str) else arguments,
    }


def report(calls: list[dict[str, Any]], turns: int) -> None:
    print("\n" + json.dumps({"calls": calls, "turns": turns}))  # frameworks leave half lines behind


def base_url() -> str:
    return sys.argv[1]


# -- the tools of agents that wrap theirs -------------------------------------------------------------------


def slow_weather(city: Literal["London", "Paris"], unit: Literal["C", "F"]) -> str:
    """The weather in a city."""
    time.sleep(SLOW_S)
    return get_weather(city, unit)


async def slow_file(path: Literal["notes.txt", "todo.txt"]) -> str:
    """The text of a file."""
    await asyncio.sleep(SLOW_S)
    return read_file(path)


SLOW_S = 0.3
"""So that a run ahead can be told from one that was not."""
READS = {"slow_weather": "read", "slow_file": "read"}
