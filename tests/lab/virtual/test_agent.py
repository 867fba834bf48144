"""An agent in virtual time: what takes how long, and that cuts of the stream change nothing."""

from collections.abc import Iterator
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.dialects import Api, stream_reader
from paste_proxy.grammar.events import ContentText, GrammarEvent
from paste_proxy.lab.virtual.agent import Agent, CallSpan, TaskTrack, TurnSpan, stream_of
from paste_proxy.lab.virtual.predictors import Oracle
from paste_proxy.lab.virtual.site import VirtualSite
from paste_proxy.lab.virtual.world import SaidCall, Saying
from paste_proxy.predict.model import Predictor
from paste_proxy.turn_handle import TurnHandle
from tests.lab.virtual.small import ENGINE, LOOK_S, WRITE_S, SmallScript, SmallWorld

TURN_S = 0.1 + 1.9
"""Of 100 new prompt tokens and 20 output tokens, of which prefill gives the first."""
LAST_S = 0.1 + 0.9


def played(
    script: SmallScript, predictor: Predictor | None = None, world: SmallWorld | None = None
) -> TaskTrack:
    site, tracks = VirtualSite(world or SmallWorld(), ENGINE, predictor), list[TaskTrack]()
    Agent(script, site, tracks.append).begin()
    site.time.run(lambda: bool(tracks))
    return tracks[0]


def oracle(script: SmallScript) -> Oracle:
    return Oracle(lambda session: script)


def test_one_task_alone_is_the_sum_of_its_parts() -> None:
    track = played(SmallScript("t", [["look:1"], ["write:2"]], pause_s=0.5))
    assert [turn.end - turn.asked for turn in track.turns] == pytest.approx([TURN_S, TURN_S, LAST_S])
    assert [call.end - call.start for call in track.calls] == pytest.approx([LOOK_S, WRITE_S])
    assert track.seconds == pytest.approx(2 * TURN_S + LAST_S + LOOK_S + WRITE_S + 2 * 0.5)
    assert track.model_s == pytest.approx(2 * TURN_S + LAST_S)
    assert track.exposed_s == pytest.approx(LOOK_S + WRITE_S)
    assert track.queue_s == 0


def test_calls_of_one_turn_run_side_by_side() -> None:
    track = played(SmallScript("t", [["look:1", "write:2", "look:3"]]))
    assert len(track.calls) == 3
    assert track.exposed_s == pytest.approx(LOOK_S)


def test_answers_come_back_in_the_order_of_the_calls() -> None:
    script = SmallScript("t", [["look:1", "write:2", "look:3"]])
    played(script)
    assert script.answers[0] == ["look 1", "write 2", "look 3"]


def test_a_failed_call_is_told_to_the_model_as_the_gateway_tells_it() -> None:
    script = SmallScript("t", [["break:1"]])
    track = played(script)
    assert track.calls[0].outcome == "failed"
    assert "no such thing" in script.answers[0][0]


def test_what_is_known_beforehand_runs_while_the_model_writes() -> None:
    """Prediction begins with the turn; the call is issued when the turn ends."""
    script = SmallScript("t", [["look:1"], ["look:2"]])
    track = played(script, oracle(script))
    assert {call.outcome for call in track.calls} == {"joined"}
    assert all(run.ahead for run in track.runs)
    assert [(run.tool, run.arguments, run.end) for run in track.runs] == [
        (call.tool, call.arguments, call.end) for call in track.calls
    ]
    assert track.exposed_s == pytest.approx(2 * (LOOK_S - TURN_S))


def test_a_call_that_is_sealed_before_the_turn_ends_runs_from_then_on() -> None:
    """Without any prediction: of three calls the first is complete a second before the last."""
    script = SmallScript("t", [["look:1", "look:2", "look:3"]])

    class Nothing(Oracle):
        def __init__(self) -> None:
            super().__init__(lambda session: None)

    track = played(script, Nothing())
    assert [call.end - call.start for call in track.calls] == pytest.approx([LOOK_S - 2, LOOK_S - 1, LOOK_S])


def test_the_transcript_digests_every_message() -> None:
    scripts = [SmallScript("t", [["look:1"]]), SmallScript("t", [["look:1"]]), SmallScript("t", [["look:2"]])]
    first, second, other = (played(script).transcript for script in scripts)
    assert first == second != other


def test_waiting_is_from_the_task_s_arrival_and_overlapping_calls_count_once() -> None:
    turns = [TurnSpan(2.0, 3.0, 5.0, 5.5, 8.0), TurnSpan(14.0, 14.0, 15.0, 15.0, 16.0)]
    spans = [(9.0, 12.0), (8.0, 10.0), (13.0, 14.0)]
    calls = [CallSpan("a", "{}", start, end, "executed", end - start, 0.0) for start, end in spans]
    track = TaskTrack("t", 1.0, 16.0, turns, calls)
    assert track.queue_s == 1.0 + 3.0 + 1.0
    assert track.model_s == 3.0 + 1.0
    assert track.exposed_s == 4.0 + 1.0


# -- the stream -------------------------------------------------------------------------------------------

sayings = st.builds(
    Saying,
    text=st.lists(st.tuples(st.text(max_size=6), st.integers(0, 9)), max_size=3).map(tuple),
    reasoning=st.lists(st.tuples(st.text(max_size=6), st.integers(0, 9)), max_size=2).map(tuple),
    calls=st.lists(
        st.builds(
            SaidCall,
            st.uuids().map(str),
            st.sampled_from(["look", "write"]),
            st.dictionaries(st.sampled_from("kx"), st.text(max_size=5)).map(
                lambda found: str(found).replace("'", '"')
            ),
            st.integers(1, 30),
        ),
        max_size=3,
    ).map(tuple),
)


class Told:
    """Instead of a runtime."""

    def __init__(self, *, listens: bool) -> None:
        self.core = SimpleNamespace(listens=listens)
        self.events: list[Any] = []

    def tell(self, event: Any) -> bool:
        self.events.append(event)
        return True


def heard(chunks: Iterator[bytes], *, listens: bool) -> list[Any]:
    """What the core hears of a stream that comes so."""
    told = Told(listens=listens)
    handle, reader = TurnHandle(told, "turn"), stream_reader(Api.CHAT)  # type: ignore[arg-type]
    for chunk in chunks:
        handle.feed(reader.feed(chunk))
    handle.feed(reader.end())
    handle.close(complete=True)
    return told.events


@pytest.mark.parametrize("listens", [True, False])
@given(saying=sayings, seed=st.integers(0, 2**32), longer=st.integers(1, 300))
def test_the_core_hears_the_same_however_finely_the_stream_is_cut(
    saying: Saying, seed: int, longer: int, listens: bool
) -> None:
    """One segment per boundary, as the lab has it, and single bytes, and pieces of any size."""
    text = tuple((text * longer, tokens) for text, tokens in saying.text)
    saying = msgspec.structs.replace(saying, text=text)
    whole = b"".join(chunk for _, chunk in stream_of(saying))
    rng = Random(seed)
    cuts = sorted({0, len(whole), *(rng.randrange(len(whole)) for _ in range(20))})
    by_boundary = heard((chunk for _, chunk in stream_of(saying)), listens=listens)
    assert heard((whole[start:end] for start, end in pairwise(cuts)), listens=listens) == by_boundary
    assert heard((bytes([byte]) for byte in whole), listens=listens) == by_boundary


@given(sayings)
def test_a_stream_rises_to_the_tokens_of_the_saying(saying: Saying) -> None:
    marks = [after for after, _ in stream_of(saying)]
    assert marks == sorted(marks)
    assert marks[0] == 1
    assert marks[-1] == saying.tokens


@given(sayings)
def test_a_stream_says_what_the_saying_says(saying: Saying) -> None:
    reader = stream_reader(Api.CHAT)
    events: list[GrammarEvent] = [event for _, chunk in stream_of(saying) for event in reader.feed(chunk)]
    assert "".join(event.text for event in events if isinstance(event, ContentText)) == saying.content
