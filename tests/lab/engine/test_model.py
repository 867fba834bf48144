"""The engine model in closed form: what one request takes, what many take, and what memory does to them."""

import pytest

from paste_proxy.lab.engine.requests import Reached
from tests.lab.engine.bench import Bench, engine, request, served


def test_alone_a_request_takes_its_prompt_and_its_output() -> None:
    """Prefill gives the first token by itself."""
    bench = served([request("a", 500, 1, 51)])
    assert bench.reached("a") == pytest.approx([0.5, 0.5 + 50 / 100])


def test_before_all_that_the_server_takes_its_own_time() -> None:
    bench = served([request("a", 500, 51)], request_overhead_s=0.25)
    assert bench.began("a") == 0.25
    assert bench.end("a") == pytest.approx(0.25 + 0.5 + 0.5)


def test_equal_requests_share_prefill_and_slow_each_other_down() -> None:
    count, slowdown = 10, 0.02
    bench = served(
        [request(str(n), 500, 101) for n in range(count)], decode_slowdown_per_running_request=slowdown
    )
    expected = count * 500 / 1000 + 100 / 100 * (1 + slowdown * (count - 1))
    assert [bench.end(str(n)) for n in range(count)] == pytest.approx([expected] * count)


def test_attention_makes_tokens_slower_the_more_stand_before_them() -> None:
    bench = Bench(engine(decode_slowdown_per_context_token=0.001, prefill_slowdown_per_context_token=0.01))
    bench.model.submit(request("a", 500, 101), 0.0)
    bench.model.submit(request("b", 300, 101), 0.0)
    bench.run()
    prefill = 500 / 1000 * (1 + 0.01 * 250) + 300 / 1000 * (1 + 0.01 * 150)
    assert bench.reached("a") == pytest.approx([prefill + 100 / 100 * (1 + 0.001 * 800)])


def test_who_leaves_takes_its_context_along() -> None:
    bench = Bench(engine(decode_slowdown_per_context_token=0.001))
    bench.model.submit(request("a", 500, 1, 101), 0.0)
    bench.model.submit(request("b", 500, 1, 51), 0.0)
    bench.run()
    both, alone = 50 / 100 * (1 + 0.001 * 1000), 50 / 100 * (1 + 0.001 * 500)
    assert bench.end("b") == pytest.approx(1.0 + both)
    assert bench.end("a") == pytest.approx(1.0 + both + alone)


def test_a_long_prompt_is_read_in_chunks_and_nobody_decodes_meanwhile() -> None:
    bench = Bench(engine(chunk_tokens=1000))
    bench.model.submit(request("a", 100, 101), 0.0)
    bench.run(until=0.6)  # 50 of a's tokens are written
    bench.model.submit(request("b", 2500, 1), 0.6)
    bench.run()
    assert bench.end("b") == pytest.approx(0.6 + 2.5)
    assert bench.end("a") == pytest.approx(0.1 + 1.0 + 2.5)


def test_whoever_comes_during_a_batch_waits_for_the_next_one() -> None:
    bench = Bench(engine(chunk_tokens=1000))
    bench.model.submit(request("a", 2500, 1), 0.0)
    bench.model.submit(request("b", 100, 1), 0.3)
    bench.run()
    assert bench.began("b") == 2.0  # two chunks of a are read, and with its last half one b's prompt
    assert bench.reached("b") == pytest.approx([2.6])
    assert bench.reached("a") == pytest.approx([2.6])


def test_what_does_not_fit_into_a_chunk_is_admitted_with_the_next() -> None:
    requests = [request("z", 500, 1), request("a", 600, 1), request("b", 600, 1), request("c", 100, 1)]
    bench = served(requests, chunk_tokens=1000)
    assert [bench.began(rid) for rid in "zabc"] == [0.0, 0.5, 0.5, 1.5]
    assert [bench.end(rid) for rid in "zabc"] == pytest.approx([0.5, 1.5, 1.8, 1.8])


def test_no_more_run_than_may() -> None:
    bench = served([request(rid, 100, 11) for rid in "abc"], max_running_requests=2)
    assert bench.end("a") == bench.end("b") == pytest.approx(0.2 + 0.1)
    assert bench.began("c") == pytest.approx(0.3)


def test_marks_are_told_once_each_in_order_with_the_end_of_their_chunk() -> None:
    bench = served([request("a", 100, 1, 3, 12, 20)], stream_interval=10)
    assert bench.reached("a") == pytest.approx([0.1, 0.1 + 0.10, 0.1 + 0.19, 0.1 + 0.19])  # tokens 1, 11, 20


def test_with_room_for_all_only_new_tokens_are_read() -> None:
    """A session of five turns: each prompt is the last one, its reply, and a new message."""
    bench, prompt = Bench(engine()), [("s", 1000)]
    for turn in range(5):
        now = bench.model.now
        one = request(f"r{turn}", list(prompt), 50)
        bench.model.submit(one, now)
        bench.run()
        assert bench.end(one.rid) - now == pytest.approx((1000 if not turn else 200) / 1000 + 49 / 100)
        prompt += [(f"r{turn}'s reply", 50), (f"r{turn}'s tool", 200)]
    assert bench.model.prefilled == 1000 + 4 * 200
    assert bench.model.cache.held == 1000 + 5 * 50 + 4 * 200
    assert bench.model.cache.locked == bench.model.cache.private == 0


def test_a_reply_stays_with_as_many_tokens_as_the_history_will_have() -> None:
    bench = served([request("a", 100, 50, kept=20)])
    assert bench.model.cache.held == 120


def test_without_a_prefix_cache_all_is_read_again() -> None:
    bench = Bench(engine(prefix_cache=False))
    for rid in "ab":
        bench.model.submit(request(rid, [("s", 1000)], 11), bench.model.now)
        bench.run()
    assert bench.model.prefilled == 2000
    assert bench.model.cache.held == 0


def test_a_prompt_that_is_there_costs_its_last_token() -> None:
    bench = served([request("a", [("s", 1000)], 1)])
    bench.model.submit(request("b", [("s", 1000)], 1), 2.0)
    bench.run()
    assert bench.cached("b") == 1000
    assert bench.end("b") == pytest.approx(2.001)


# -- memory -----------------------------------------------------------------------------------------------


def test_a_request_waits_until_its_prompt_fits_beside_what_may_still_be_written() -> None:
    bench = served([request(rid, 400, 11) for rid in "abc"], kv_tokens=1000, reserve_tokens=100)
    assert bench.began("b") == 0.4  # with the next batch
    assert bench.began("c") == bench.end("a")


def test_the_first_that_does_not_fit_closes_the_door() -> None:
    bench = served([request("a", 600, 101), request("b", 600, 1), request("c", 10, 1)], kv_tokens=1000)
    assert bench.began("b") == bench.began("c") == bench.end("a")


def test_a_cached_prefix_takes_room_too_once_it_is_used() -> None:
    """Of `b`'s prompt 500 tokens are left beside `a`, and could be evicted; but all of it does not fit."""
    bench = served([request("b0", [("b", 500), ("bb", 400)], 1)], kv_tokens=1000)
    now = bench.model.now
    bench.model.submit(request("a", 150, 101), now)
    bench.model.submit(request("b1", [("b", 500), ("bb", 400)], 1), now)
    bench.run()
    assert bench.cached("b1") == 500
    assert bench.began("b1") == bench.end("a")


def test_alone_a_request_runs_even_if_it_is_too_large() -> None:
    assert served([request("a", 2000, 11)], kv_tokens=1000).end("a") == pytest.approx(2.1)


def test_sessions_that_do_not_fit_together_read_everything_again() -> None:
    bench = Bench(engine(kv_tokens=1000))
    for turn in range(4):
        bench.model.submit(request(f"r{turn}", [("ab"[turn % 2], 800)], 11), bench.model.now)
        bench.run()
    assert bench.model.prefilled == 4 * 800


def test_when_memory_is_full_the_one_that_has_written_least_goes_back() -> None:
    bench = Bench(engine(kv_tokens=1000, prefill_tokens_per_s=1e9))
    bench.model.submit(request("a", 400, 201), 0.0)
    bench.run(until=0.5)  # a: 51 tokens
    bench.model.submit(request("b", 400, 201), 0.5)
    bench.run()
    assert bench.model.retracted == 1
    # 200 tokens of room are full once a has 125.5 and b 75.5; then a goes on alone, and b's 76 are read again.
    assert bench.end("a") == pytest.approx(2.0)
    assert bench.end("b") == pytest.approx(2.0 + (201 - 77) / 100, abs=0.011)
    assert bench.began("b") == pytest.approx(0.5)


def test_whoever_gave_its_place_up_is_told_of_no_mark_twice() -> None:
    requests = [request(rid, 300, *range(1, 302, 3)) for rid in "abc"]
    bench = served(requests, kv_tokens=1000, prefill_tokens_per_s=1e6)
    assert bench.model.retracted
    for rid in "abc":
        marks = [event.mark for event in bench.told if isinstance(event, Reached) and event.rid == rid]
        assert marks == list(range(101))


# -- priority ---------------------------------------------------------------------------------------------


def test_the_more_urgent_one_takes_the_place_of_the_least_urgent() -> None:
    bench = Bench(engine(policy="priority", max_running_requests=1))
    bench.model.submit(request("a", 100, 101), 0.0)
    bench.run(until=0.6)  # 51 tokens
    bench.model.submit(request("b", 100, 101, priority=11), 0.6)
    bench.run()
    assert bench.end("b") == pytest.approx(0.6 + 0.1 + 1.0)
    # a's 51 tokens are read again, which gives the 52nd; its prompt is still there.
    assert bench.end("a") == pytest.approx(1.7 + 0.051 + 0.49)


def test_a_little_more_urgent_is_not_enough() -> None:
    bench = Bench(engine(policy="priority", max_running_requests=1))
    bench.model.submit(request("a", 100, 101), 0.0)
    bench.model.submit(request("b", 100, 101), 0.2)
    bench.model.submit(request("c", 100, 101, priority=10), 0.3)
    bench.run()
    assert (bench.began("c"), bench.began("b")) == (bench.end("a"), bench.end("c"))


def test_nobody_gives_way_to_one_that_does_not_fit() -> None:
    bench = Bench(engine(policy="priority", max_running_requests=2, kv_tokens=1000))
    bench.model.submit(request("a", 400, 51), 0.0)
    bench.model.submit(request("b", 400, 51), 0.0)
    bench.run(until=1.0)
    bench.model.submit(request("c", 900, 1, priority=99), 1.0)
    bench.run()
    assert bench.began("c") == bench.end("b") == bench.end("a")


# -- ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "where"),
    [(0.05, "coming"), (0.2, "prefill"), (0.9, "decode"), (9.0, "over")],
)
def test_an_aborted_request_is_not_told_of_and_holds_nothing(at: float, where: str) -> None:
    bench = Bench(engine(request_overhead_s=0.1))
    bench.model.submit(request("a", 500, 1, 101), 0.0)
    bench.run(until=at)
    bench.model.abort("a", at)
    bench.model.abort("nobody", at)
    told = len(bench.told)
    bench.run()
    assert len(bench.told) == told
    assert {"over": len(bench.reached("a")) == 2}.get(where, not bench.reached("a")[1:])
    assert (bench.model.running, bench.model.waiting, bench.model.output_held) == (0, 0, 0)
    assert bench.model.cache.locked == bench.model.cache.private == 0


def test_an_aborted_request_makes_place_for_the_next() -> None:
    bench = Bench(engine(max_running_requests=1))
    for rid in "abc":
        bench.model.submit(request(rid, 100, 101), 0.0)
    bench.run(until=0.5)
    bench.model.abort("b", 0.5)
    bench.model.abort("a", 0.6)
    bench.run()
    assert bench.began("c") == 0.6
    assert not bench.reached("b")


def test_what_is_due_when_somebody_comes_is_not_late_for_it() -> None:
    bench = Bench(engine())
    bench.model.submit(request("a", 100, 101), 0.0)
    bench.run(until=1.0)
    bench.model.submit(request("b", 5000, 1), 1.1)  # a's last token is written just now
    assert bench.run().end("a") == pytest.approx(1.1)


def test_a_day_of_decoding_leaves_nothing_behind() -> None:
    """The counter runs on, and no error adds up to a token."""
    bench = Bench(engine(decode_slowdown_per_running_request=0.0173))
    now = 0.0
    for number in range(2000):
        bench.model.submit(request(f"r{number}", 10 + number % 7, 1, 9000 + number % 1013), now)
        now += 8 + (number % 10) * 7
        bench.run(until=now)
    bench.run()
    assert bench.model.output_held == bench.model.running == bench.model.cache.private == 0
    assert sum(isinstance(event, Reached) for event in bench.told) == 4000
