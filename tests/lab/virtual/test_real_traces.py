"""The workloads of real sessions are what is known of them. Skipped where the traces are not there."""

import statistics
from pathlib import Path

import pytest

from paste_proxy.lab.virtual.replay import counted
from paste_proxy.lab.virtual.sources import RecordedWorkload
from paste_proxy.lab.virtual.workloads import Choice, load_lab_workload
from paste_proxy.lab.workload import load_workload
from paste_proxy.tools.spec import Effect

TRACES = Path(__file__).resolve().parents[3] / "../shared/traces"


def loaded(name: str) -> RecordedWorkload:
    if not TRACES.is_dir():
        pytest.skip(f"no traces at {TRACES}")
    workload = load_lab_workload(name, Choice(TRACES))
    assert isinstance(workload, RecordedWorkload)
    return workload


def test_of_the_assistant_s_look_ups_nine_in_ten_could_be_known() -> None:
    """92 % of all that read, by a count of others that took constants for known more freely."""
    workload = loaded("assistant")
    known = reads = 0
    for source in workload.measured:
        session = source.session
        for number, turn in enumerate(session.turns):
            found = workload.derivable.calls(session, number)
            for call in turn.calls:
                if workload.world.specs[call.tool].effect is not Effect.READ:
                    break
                if workload.world.specs[call.tool].reads:
                    reads += 1
                    known += any((one.tool, one.arguments) == (call.tool, call.arguments) for one in found)
    assert known / reads == pytest.approx(0.92, abs=0.03)


def test_of_the_coding_agent_s_time_little_is_spent_in_tools() -> None:
    """5.7 % of the recorded time."""
    workload = loaded("coding")
    rate = load_workload().engine.decode_tokens_per_s_one_request
    turns = [turn for source in workload.measured for turn in source.session.turns]
    model_s = sum(sum(turn.tokens) for turn in turns) / rate
    tools_s = sum(call.seconds for turn in turns for call in turn.calls)
    assert tools_s / (tools_s + model_s) == pytest.approx(0.057, abs=0.01)


def test_replays_need_as_much_memory_as_was_recorded() -> None:
    """The last prompts of the coding sessions held 35,000 tokens in the median."""
    workload = loaded("coding")
    sizes = []
    for source in workload.measured:
        turns = source.session.turns
        said = sum(turn.kept + sum(counted(call.result) for call in turn.calls) for turn in turns)
        sizes.append(said + sum(message.tokens for message in source.session.opening))
    assert statistics.median(sizes) == pytest.approx(35_000, rel=0.15)
