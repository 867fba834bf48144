"""Two hundred agents at once, with an engine's memory far too small for them: all have what they have alone."""

import asyncio
from typing import Any

import pytest

from tests.chaos.engine import answer_to
from tests.chaos.support import World, said, undisturbed, until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

AGENTS, TURNS = 200, 4
OPENING, RESULT = 1600, 400
"""Characters: a session grows to some 700 tokens, and the engine holds 5,000."""


async def agent(at: World) -> None:
    """What it reads it hands on, as its own words and as what it asks next, so that a wrong answer shows."""
    session = at.new_session()
    asked = at.asked(session, OPENING, stream=True)
    messages: list[Any] = asked["json"]["messages"]
    for _ in range(TURNS):
        async with at.http.post(f"{at.proxy.url}/v1/chat/completions", **asked) as reply:
            assert reply.status == 200
            answer = said(await reply.read())
        assert answer == answer_to(messages)
        result = {"role": "user", "content": answer * (RESULT // len(answer))}
        messages += [{"role": "assistant", "content": answer}, result]


async def test_all_agents_of_a_crowd_finish_with_their_own_answers(alone: World) -> None:
    [engine] = alone.engines.values()
    async with undisturbed(alone):
        before = (await alone.proxy.page("v1/stats"))["turns"]
        await engine.goes_wrong(before="wait")

        async def are_there() -> bool:
            return (await engine.seen()).now + await alone.proxy.held() == AGENTS

        async with asyncio.TaskGroup() as agents:
            for _ in range(AGENTS):
                agents.create_task(agent(alone))
            await until(are_there, "all agents are at the engine or held")
            await engine.goes_wrong()
        turns = (await alone.proxy.page("v1/stats"))["turns"]
        assert turns["admitted_later"] > before["admitted_later"] + AGENTS // 2, "many were held"
        for none in ("overdue", "withdrawn", "refused"):
            assert turns[none] == before[none]
