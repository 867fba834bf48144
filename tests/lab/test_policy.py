"""The scripted model does what research.yaml documents, out of the messages alone."""

import itertools
import json
import statistics
from typing import Any

import msgspec
import pytest

from paste_proxy.errors import RequestError
from paste_proxy.lab.conversation import WireMessage, read_conversation
from paste_proxy.lab.policy import Policy, Turn, unopened
from paste_proxy.lab.sizes import OPEN, READ, SEARCH, Sizes
from paste_proxy.lab.workload import LogNormal, Workload
from tests.lab.conftest import made_up, next_turn, play, said

TASKS = range(1000, 1150)


@pytest.fixture(scope="module")
def tasks(policy: Policy) -> list[list[Turn]]:
    return [play(policy, task)[0] for task in TASKS]


def calls(turns: list[Turn]) -> list[tuple[str, dict[str, Any]]]:
    return [(turn.call.tool, json.loads(turn.call.arguments)) for turn in turns if turn.call]


def test_a_task_is_the_same_every_time(policy: Policy) -> None:
    assert play(policy, 5) == play(policy, 5)


def test_every_search_of_every_task_is_its_own(tasks: list[list[Turn]]) -> None:
    queries = [args["query"] for turns in tasks for tool, args in calls(turns) if tool == SEARCH]
    assert len(queries) == len(set(queries)) > 500


def test_a_query_stands_nowhere_before_it_is_asked(policy: Policy) -> None:
    for task in TASKS[:20]:
        _, messages = play(policy, task)
        seen = ""
        for message in messages:
            for call in message.get("tool_calls", ()):
                query = json.loads(call["function"]["arguments"]).get("query")
                assert query is None or query not in seen
            seen += json.dumps(message)


def test_shape_of_a_session(tasks: list[list[Turn]], workload: Workload) -> None:
    sequences = [[tool for tool, _ in calls(turns)] for turns in tasks]
    searches = [sequence.count(SEARCH) for sequence in sequences]
    assert statistics.mean(searches) == pytest.approx(3.65, abs=0.5)
    assert all(sequence[0] == SEARCH for sequence in sequences)
    pairs = [pair for sequence in sequences for pair in itertools.pairwise([*sequence, "end"])]
    after_search = [after for before, after in pairs if before == SEARCH]
    after_open = [after for before, after in pairs if before != SEARCH]
    opened = (OPEN, READ)
    skipped = 1 - sum(after in opened for after in after_search) / len(after_search)
    assert skipped == pytest.approx(workload.skip_opening_after_search, abs=0.04)
    again = sum(after in opened for after in after_open) / len(after_open)
    assert again == pytest.approx(workload.open_again, abs=0.04)


def test_opened_ranks_follow_the_table(policy: Policy, workload: Workload) -> None:
    ranks: list[int | None] = []
    for task in TASKS:
        _, messages = play(policy, task)
        for end, message in enumerate(messages):
            for call in message.get("tool_calls", ()):
                if call["function"]["name"] != SEARCH:
                    ranks.append(rank_of(call, messages[:end]))
    for last in (1, 2, 3, 5):
        share = sum(rank is not None and rank <= last for rank in ranks) / len(ranks)
        assert share == pytest.approx(workload.open_rank_cumulative[last], abs=0.04)


def rank_of(call: dict[str, Any], before: list[dict[str, Any]]) -> int | None:
    left = unopened(read_conversation(msgspec.convert(before, list[WireMessage])))
    address = json.loads(call["function"]["arguments"]).get("address")
    return left.index(address) + 1 if address in left else None


def test_output_is_as_long_as_drawn(tasks: list[list[Turn]]) -> None:
    turns = [turn for task in tasks for turn in task if turn.call]
    assert statistics.median(turn.tokens for turn in turns) == pytest.approx(340, rel=0.1)
    assert statistics.mean(turn.call_tokens / turn.tokens for turn in turns) == pytest.approx(0.15, abs=0.01)
    assert all(len(turn.text) <= turn.text_tokens * 4 + 120 for turn in turns)
    finals = [task[-1].tokens for task in tasks]
    assert statistics.median(finals) == pytest.approx(700, rel=0.2)


def test_some_turns_name_the_page_before_the_call(tasks: list[list[Turn]], workload: Workload) -> None:
    named = []
    for turn in itertools.chain.from_iterable(tasks):
        if turn.call and turn.call.tool != SEARCH:
            (page,) = json.loads(turn.call.arguments).values()
            named.append(turn.text.find(page) / len(turn.text))
    mentions = [at for at in named if at > 0]
    assert len(mentions) / len(named) == pytest.approx(workload.mention.probability, abs=0.04)
    assert statistics.mean(mentions) == pytest.approx(workload.mention.at_fraction_of_turn, abs=0.05)


def test_a_changed_result_changes_all_that_follows(policy: Policy) -> None:
    def tampered(tool: str, arguments: dict[str, Any]) -> str:
        return made_up(tool, arguments) + (" " if tool != SEARCH else "")

    honest, _ = play(policy, 7)
    changed, _ = play(policy, 7, tampered)
    differs = [mine.text != theirs.text for mine, theirs in zip(honest, changed, strict=True)]
    first_open = next(i for i, turn in enumerate(honest) if turn.call and turn.call.tool != SEARCH)
    assert differs == [i > first_open for i in range(len(honest))]


def test_call_ids_come_from_the_messages(policy: Policy) -> None:
    turns, _ = play(policy, 9)
    ids = [turn.call.call_id for turn in turns if turn.call]
    assert len(set(ids)) == len(ids)
    assert all(call_id.startswith("call_") and len(call_id) == 29 for call_id in ids)


def test_an_error_instead_of_results_is_read_as_no_results(policy: Policy) -> None:
    turns, messages = play(policy, 11, lambda tool, arguments: "service unavailable")
    assert turns[-1].call is None
    assert all(call[0] in (SEARCH, READ, OPEN) for call in calls(turns))
    assert unopened(read_conversation(msgspec.convert(messages, list[WireMessage]))) == []


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([], "messages is empty"),
        ([{"role": "user", "content": "hello"}], "no user message names a task"),
        (
            [
                {"role": "user", "content": "Task 1: x"},
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "c", "function": {"name": SEARCH, "arguments": "[1"}}],
                },
                {"role": "tool", "tool_call_id": "c", "content": ""},
            ],
            "arguments of call c are no JSON object",
        ),
    ],
)
def test_foreign_messages_are_refused(messages: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(RequestError, match=why):
        read_conversation(msgspec.convert(messages, list[WireMessage]))


def test_content_parts_read_like_a_string(policy: Policy) -> None:
    messages = policy.opening(3)
    parts = [{**message, "content": [{"type": "text", "text": message["content"]}]} for message in messages]
    assert said(next_turn(policy, parts)) == said(next_turn(policy, messages))


def test_the_demo_s_tasks_stand_for_the_workload(policy: Policy, workload: Workload) -> None:
    """32 tasks are few; theirs are near the stated numbers, see `REALISATION`."""
    sizes, expected = Sizes(workload), workload.tokens.turn_output.size
    tokens, seconds, ranks = [], {"search": [0.0], "open": [0.0]}, []
    for task in range(workload.demo.tasks):
        turns, messages = play(policy, task)
        tokens += [turn.tokens for turn in turns if turn.call]
        for end, message in enumerate(messages):
            for call in message.get("tool_calls", ()):
                name = call["function"]["name"]
                took = sizes.seconds(name, json.loads(call["function"]["arguments"]))
                seconds["search" if name == SEARCH else "open"].append(took)
                ranks += [] if name == SEARCH else [rank_of(call, messages[:end])]
    searches, opens = len(seconds["search"]) - 1, len(seconds["open"]) - 1
    assert searches / workload.demo.tasks == pytest.approx(mean_searches(workload), rel=0.05)
    per_search = (1 - workload.skip_opening_after_search) / (1 - workload.open_again)
    assert opens / searches == pytest.approx(per_search, rel=0.05)
    assert statistics.mean(tokens) == pytest.approx(mean(expected), rel=0.03)
    assert sum(seconds["search"]) / searches == pytest.approx(mean(workload.tool_seconds.search), rel=0.03)
    assert sum(seconds["open"]) / opens == pytest.approx(mean(workload.tool_seconds.open), rel=0.03)
    for last, share in ((1, 0.50), (3, 0.69), (10, 0.80)):
        assert sum(rank is not None and rank <= last for rank in ranks) / opens == pytest.approx(
            share, abs=0.021
        )


def mean(distribution: LogNormal) -> float:
    return statistics.fmean(distribution.quantile((i + 0.5) / 10_000) for i in range(10_000))


def mean_searches(workload: Workload) -> float:
    return statistics.fmean(workload.searches.quantile((i + 0.5) / 10_000) for i in range(10_000))


def test_the_number_of_calls_is_known_beforehand(policy: Policy, tasks: list[list[Turn]]) -> None:
    assert [policy.call_count(task) for task in TASKS] == [len(turns) - 1 for turns in tasks]


def test_replies_have_a_scale_of_their_own(workload: Workload) -> None:
    """For engines that write slowly beside what they read."""
    both, apart = Sizes(workload, 0.2), Sizes(workload, 0.2, 0.05)
    assert apart.result("docs_search", {"query": "a"}) == both.result("docs_search", {"query": "a"})
    assert apart.turn(0, 0, final=False) == pytest.approx(both.turn(0, 0, final=False) / 4, abs=1)
