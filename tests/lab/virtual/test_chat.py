"""Plain chat beside the tasks."""

import statistics

import pytest

from paste_proxy.lab.engine.presets import load_presets
from paste_proxy.lab.virtual.chat import Chat, load_chat, most_chat_per_s
from paste_proxy.lab.virtual.experiment import Plan, run_cell
from paste_proxy.lab.virtual.research import Research
from paste_proxy.lab.virtual.rows import rows_of
from paste_proxy.lab.virtual.site import VirtualSite

ENGINE = load_presets()["research"]


def served(per_s: float, seconds: float = 1000.0, seed: int = 0) -> tuple[VirtualSite, Chat]:
    site = VirtualSite(Research().world, ENGINE, None)
    chat = Chat(site, per_s, seed)
    chat.start()
    site.time.run(lambda: site.time.now >= seconds)
    return site, chat


def test_requests_arrive_at_the_given_rate_and_are_of_the_stated_sizes() -> None:
    site, chat = served(0.5)
    waits = chat.ttft_s(0.0, 1000.0)
    assert len(waits) == pytest.approx(500, abs=60)
    [engine] = site.fleet.engines
    sizes = load_chat()
    assert engine.prompted / len(waits) == pytest.approx(sizes.prompt_tokens.p50 * 1.44, rel=0.15)  # the mean
    assert statistics.median(waits) == pytest.approx(
        sizes.prompt_tokens.p50 / ENGINE.prefill_tokens_per_s, rel=0.3
    )


def test_only_requests_of_the_time_that_is_asked_for_count() -> None:
    _, chat = served(0.5)
    halves = chat.ttft_s(0.0, 500.0), chat.ttft_s(500.0, 1000.0)
    assert sum(map(len, halves)) == len(chat.ttft_s(0.0, 1000.0))
    assert all(halves)


def test_without_a_rate_nobody_chats() -> None:
    site, chat = served(0.0)
    assert site.time.now == 0
    assert chat.ttft_s(0.0, 1000.0) == []


def test_chat_goes_the_way_of_all_turns_and_runs_nothing_ahead() -> None:
    site, _ = served(0.5, 100.0)
    assert len(site.shell.core.turns.sessions) > 20
    assert site.shell.core.broker.ledger.started == {}


def test_a_cell_with_chat_says_what_it_waited_and_one_without_says_nothing() -> None:
    plans = [Plan(ENGINE, 2, chat_per_s=rate) for rate in (2.0, 0.0)]
    busy, quiet = (rows_of([run_cell(Research(), plan, "A", 2)], 0)[0] for plan in plans)
    assert busy.ttft_chat_p99_s is not None
    assert 0.01 < busy.ttft_chat_p99_s < 1
    assert quiet.ttft_chat_p99_s is None
    assert busy.mean_task_s > quiet.mean_task_s


def test_what_an_engine_answers_at_most_is_what_it_does_answer_under_more() -> None:
    """A queue that grows for ever."""
    most = most_chat_per_s(ENGINE)
    site, _ = served(2 * most, 600.0)
    assert sum(engine.ended for engine in site.fleet.engines) / 600 == pytest.approx(most, rel=0.1)
