"""A session that is played: it says again what it said, and its tools answer as they did."""

from pathlib import Path

import pytest

from paste_proxy.errors import ConfigError
from paste_proxy.lab.engine.presets import load_presets
from paste_proxy.lab.virtual.agent import Agent, TaskTrack
from paste_proxy.lab.virtual.experiment import FILLERS
from paste_proxy.lab.virtual.recorded import RecordedScript
from paste_proxy.lab.virtual.site import VirtualSite
from paste_proxy.lab.virtual.sources import RecordedWorkload
from paste_proxy.lab.virtual.trace_world import UNKNOWN
from paste_proxy.predict.model import Predictor
from tests.lab.virtual.service import MODEL_S, SESSIONS, TOOL_S, USER_S, session, workload

ORDER = 4
"""Of the session's turns: the one that asks for an order that was asked for before."""


def played(service: RecordedWorkload, task: int = 0, predictor: Predictor | None = None) -> TaskTrack:
    """The task alone."""
    site = VirtualSite(service.world, load_presets()["research"], predictor)
    tracks: list[TaskTrack] = []
    Agent(service.script(task), site, tracks.append).begin()
    site.time.run(lambda: bool(tracks))
    return tracks[0]


def said(script: RecordedScript) -> list[str]:
    """The arguments of its calls."""
    texts = []
    while not script.over:
        texts += [call.arguments for call in script.next_turn().calls]
        script.answered([])
    return texts


def test_alone_everything_takes_its_recorded_time(tmp_path: Path) -> None:
    track = played(workload(tmp_path))
    assert [turn.end - turn.asked for turn in track.turns] == pytest.approx([MODEL_S] * 7, abs=0.02)
    assert [call.end - call.start for call in track.calls] == pytest.approx([TOOL_S] * 5)
    assert track.seconds == pytest.approx(7 * MODEL_S + 5 * TOOL_S + USER_S, abs=0.1)
    assert track.exposed_s == pytest.approx(5 * TOOL_S)


def test_equal_calls_are_answered_in_their_order(tmp_path: Path) -> None:
    service = workload(tmp_path)
    script = service.script(0)
    arguments = script.session.turns[ORDER].calls[0].arguments
    answers = []
    for _ in script.session.turns[:-1]:
        answers.append(service.world.answer(script.task, "get_order", arguments).output.body)
        script.answered([])
    before, after = (script.session.turns[turn].calls[0].result.encode() for turn in (2, ORDER))
    assert answers == [before] * 3 + [after] * 2 + [UNKNOWN.body]


def test_a_call_that_nobody_made_has_an_answer_of_its_own_that_takes_its_time(tmp_path: Path) -> None:
    service = workload(tmp_path)
    script = service.script(0)
    answers = [service.world.answer(script.task, "get_order", {"order_id": name}) for name in ("a", "a", "b")]
    assert [answer.output for answer in answers] == [UNKNOWN] * 3
    assert answers[0].seconds == answers[1].seconds != answers[2].seconds
    assert service.world.answer("nobody", "get_order", {}).output == UNKNOWN


def test_no_task_is_both_measured_and_learnt_from(tmp_path: Path) -> None:
    service = workload(
        tmp_path, [{**session(number), "task": f"task {number // 2}"} for number in range(SESSIONS)]
    )
    measured = {source.task for source in service.measured}
    learnt = {source.task for source in service.others}
    assert measured
    assert learnt
    assert not measured & learnt
    assert len(service.measured) == service.tasks == 2 * len(measured)
    assert service.rehearsals == len(service.others) == 2 * len(learnt)
    assert service.rehearsal(service.rehearsals) is None


def test_fillers_play_the_measured_sessions_under_other_names(tmp_path: Path) -> None:
    service = workload(tmp_path)
    assert service.tasks
    scripts = [service.script(number) for number in (0, FILLERS, FILLERS + 1)]
    assert len({script.task for script in scripts}) == 3
    assert {said(script)[0] for script in scripts} <= {
        said(service.script(task))[0] for task in range(service.tasks)
    }


def test_ids_of_calls_are_unique_whatever_was_recorded(tmp_path: Path) -> None:
    service = workload(tmp_path)
    ids = []
    for script in (service.script(0), service.script(FILLERS)):
        while not script.over:
            ids += [call.call_id for call in script.next_turn().calls]
            script.answered([])
    assert len(set(ids)) == len(ids) == 10


def test_a_seed_whose_fifth_of_the_tasks_is_empty_is_told(tmp_path: Path) -> None:
    alone = workload(tmp_path).others[0].task
    with pytest.raises(ConfigError, match=r"none of its 1 sessions is measured .* try --seed [1-4]"):
        workload(tmp_path, [session(int(alone.removeprefix("session ")))])
