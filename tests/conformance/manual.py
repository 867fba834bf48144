"""A plugin for the agent test: Python's own manual, behind the latency of a remote service."""

import asyncio
from pydoc_data.topics import topics

from paste_proxy.tools import Effect, tool

LATENCY_S = 0.4
"""About the time in which the tiny model writes a call: a call that runs ahead has something to hide behind."""


@tool(effect=Effect.READ, reads=())
async def find_topics(word: str) -> list[str]:
    """The topics of the language manual whose name has the word in it."""
    await asyncio.sleep(LATENCY_S)
    return sorted(name for name in topics if word.lower() in name.lower())


@tool(effect=Effect.READ, reads=())
async def read_topic(name: str) -> str:
    """The beginning of a topic of the language manual."""
    await asyncio.sleep(LATENCY_S)
    return str(topics.get(name, "no such topic"))[:300]
