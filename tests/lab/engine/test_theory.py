"""The engine model against queueing theory, and what must hold for any requests whatever."""

import heapq
import math
import random
import statistics
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.lab.engine.cache import Message
from paste_proxy.lab.engine.requests import Began, EngineRequest, Reached
from paste_proxy.lab.engine.spec import PolicyName
from paste_proxy.lab.summary import quantile
from tests.lab.engine.bench import Bench, engine, request


def poisson(count: int, mean_s: float, rng: random.Random) -> list[float]:
    """Moments."""
    now, moments = 0.0, []
    for _ in range(count):
        now += rng.expovariate(1 / mean_s)
        moments.append(now)
    return moments


def test_little_s_law() -> None:
    """Requests in the engine, averaged over time, are the rate of arrivals times their mean stay."""
    rng = random.Random(1)
    arrivals = poisson(300, 0.5, rng)
    bench = Bench(engine(max_running_requests=8, decode_slowdown_per_running_request=0.05, kv_tokens=6000))
    inside = 0.0
    moments = iter(arrivals)
    due = next(moments, None)
    while (event := bench.model.next_event()) is not None or due is not None:
        before, count = bench.model.now, bench.model.waiting + bench.model.running
        now = min(at for at in (event, due) if at is not None)
        inside += count * (now - before)
        if now == due:
            rid = f"r{arrivals.index(now)}"
            bench.model.submit(request(rid, rng.randrange(1, 800), rng.randrange(2, 200)), now)
            due = next(moments, None)
        bench.told += bench.model.advance(now)
    stays = [bench.end(f"r{number}") - arrived for number, arrived in enumerate(arrivals)]
    span = bench.model.now
    assert inside / span == pytest.approx(len(arrivals) / span * statistics.fmean(stays), rel=1e-6)
    assert max(stays) > 5 * min(stays)


@pytest.mark.parametrize("servers", [1, 4])
def test_the_mean_wait_of_a_queue_is_erlang_s(servers: int) -> None:
    """Exponential replies, so many at a time, no prefill to speak of: M/M/1 and M/M/4 at 70 % load. Beside the
    theory, which is about means, each single wait is the one that a queue of these draws has."""
    rng, load = random.Random(5), 0.7
    arrivals = poisson(4000, 1 / (load * servers), rng)
    replies = [1 + math.ceil(rng.expovariate(1 / 100)) for _ in arrivals]
    bench = Bench(engine(max_running_requests=servers, prefill_tokens_per_s=1e9))
    for number, now in enumerate(arrivals):
        bench.run(until=now)
        bench.model.submit(request(f"r{number}", 1, replies[number]), now)
        bench.told += bench.model.advance(now)
    bench.run()
    began = {event.rid: event.at for event in bench.told if isinstance(event, Began)}
    waits = [began[f"r{number}"] - arrived for number, arrived in enumerate(arrivals)]
    assert waits == pytest.approx(
        waits_of(servers, arrivals, [(tokens - 1) / 100 for tokens in replies]), abs=1e-5
    )
    low, high = interval(waits, rng)
    assert low < erlang_c(servers, load * servers) / (servers * (1 - load)) < high
    assert high < 3 * low


def waits_of(servers: int, arrivals: list[float], services: list[float]) -> list[float]:
    """Each customer takes the server that is free first."""
    free, waits = [0.0] * servers, []
    for arrived, service in zip(arrivals, services, strict=True):
        start = max(arrived, heapq.heappop(free))
        heapq.heappush(free, start + service)
        waits.append(start - arrived)
    return waits


def erlang_c(servers: int, offered: float) -> float:
    """The share of customers that wait."""
    terms = [offered**k / math.factorial(k) for k in range(servers)]
    last = offered**servers / math.factorial(servers) / (1 - offered / servers)
    return last / (sum(terms) + last)


def interval(waits: list[float], rng: random.Random, block: int = 200) -> tuple[float, float]:
    """99 % of the mean, by bootstrap over blocks: waits of neighbours are alike."""
    blocks = [statistics.fmean(waits[at : at + block]) for at in range(0, len(waits), block)]
    means = [statistics.fmean(rng.choices(blocks, k=len(blocks))) for _ in range(1000)]
    return quantile(means, 0.005), quantile(means, 0.995)


# -- any requests whatever --------------------------------------------------------------------------------

prompts = st.lists(st.sampled_from("ab"), min_size=1, max_size=4)
arrivals = st.lists(
    st.tuples(
        st.integers(0, 60),  # tenths of a second
        prompts,
        st.lists(st.integers(1, 90), min_size=1, max_size=4, unique=True).map(sorted),
        st.integers(0, 30),
        st.one_of(st.none(), st.integers(0, 40)),
    ),
    max_size=12,
).map(lambda found: sorted(found, key=lambda one: one[0]))


@settings(max_examples=150)
@given(
    policy=st.sampled_from(get_args(PolicyName)),
    kv=st.integers(50, 600),
    slots=st.integers(1, 4),
    chunk=st.integers(1, 120),
    reserve=st.sampled_from([0, 40]),
    shares=st.booleans(),
    requests=arrivals,
)
def test_every_request_reaches_all_its_marks_once_or_is_aborted(
    policy: PolicyName,
    kv: int,
    slots: int,
    chunk: int,
    reserve: int,
    shares: bool,
    requests: list[tuple[int, list[str], list[int], int, int | None]],
) -> None:
    model = engine(
        policy=policy,
        kv_tokens=kv,
        max_running_requests=slots,
        chunk_tokens=chunk,
        reserve_tokens=reserve,
        prefix_cache=shares,
        request_overhead_s=0.05,
        decode_slowdown_per_running_request=0.1,
    )
    bench = Bench(model)
    aborts = sorted(
        (at / 10 + after / 10, n) for n, (at, *_, after) in enumerate(requests) if after is not None
    )
    story = [(at / 10, number, True) for number, (at, *_) in enumerate(requests)]
    story += [(at, number, False) for at, number in aborts]
    for now, number, comes in sorted(story, key=lambda one: one[0]):
        bench.run(until=now)
        if comes:
            _, path, marks, priority, _ = requests[number]
            model.submit(_request(number, path, marks, priority), now)
        else:
            model.abort(f"r{number}", now)
        bench.told += model.advance(now)
        assert 0 <= model.running <= slots
        assert model.cache.locked <= model.cache.held
        assert model.running < 2 or model.cache.locked + model.cache.private <= kv
    bench.run()
    for number, (_, _, marks, _, after) in enumerate(requests):
        told = [event for event in bench.told if isinstance(event, Reached) and event.rid == f"r{number}"]
        assert [event.mark for event in told] == list(range(len(told)))
        assert [event.last for event in told] == [event.mark == len(marks) - 1 for event in told]
        assert len(told) == len(marks) or after is not None
        assert sum(isinstance(event, Began) and event.rid == f"r{number}" for event in bench.told) <= 1
    assert all(before.at <= event.at for before, event in pairwise(bench.told))
    assert (model.running, model.waiting, model.output_held) == (0, 0, 0)
    assert model.cache.locked == model.cache.private == 0


def _request(number: int, path: list[str], marks: list[int], priority: int) -> EngineRequest:
    keys = ["".join(path[: end + 1]) for end in range(len(path))]
    prompt = tuple(Message(key, 5 + 20 * (key[-1] == "a")) for key in keys)
    return EngineRequest(f"r{number}", prompt, tuple(marks), f"{keys[-1]}+", priority)
