"""Nobody is judged on what it has learnt from."""

from pathlib import Path

from paste_proxy.lab.prediction.judge import Judgement
from paste_proxy.lab.prediction.sessions import read_sessions
from paste_proxy.lab.prediction.trials import carry_out, cross_validated, held_out
from paste_proxy.predict.model import Call
from tests.lab.prediction.small import LikeTheLast, Teller, says
from tests.lab.virtual.service import recorded, written

TASKS = 12


def traces(folder: Path, name: str = "a.jsonl.gz", tool: str = "get") -> Path:
    """Two sessions of each task, which no other task's resemble."""
    folder.mkdir(exist_ok=True)
    turns = [[says("", (tool, {"of": f"{tool} {number // 2}"}))] for number in range(2 * TASKS)]
    made = [recorded(f"s{place}", one, task=f"task {place // 2}") for place, one in enumerate(turns)]
    return written(folder, made, name)


def hits(judgement: Judgement) -> list[int | None]:
    return [decision.hit.rank for decision in judgement.decisions if decision.hit]


def test_a_task_is_judged_by_one_that_never_saw_it(tmp_path: Path) -> None:
    path, tellers = traces(tmp_path), list[Teller]()

    def new() -> Teller:
        tellers.append(Teller())
        return tellers[-1]

    [(name, judgement)] = carry_out(cross_validated({"a": path}, 3, ()), 1, new)
    assert (name, len(hits(judgement)), len(tellers)) == ("a", 2 * TASKS, 3)
    for fold, teller in enumerate(tellers):
        learnt = {call.arguments["of"] for _, _, calls in teller.lessons for call in calls}
        others = [one for one in read_sessions(path, ()) if one.fold(3) != fold]
        assert learnt == {one.turns[0].calls[0].call.arguments["of"] for one in others}
        assert len(teller.lessons) == len(others)


def test_other_traces_are_judged_by_what_those_of_their_name_taught(tmp_path: Path) -> None:
    learnt = {
        "a": traces(tmp_path / "learnt"),
        "b": traces(tmp_path / "learnt", "b.jsonl.gz", tool="find"),
    }
    tested = {"a": traces(tmp_path / "tested"), "c": traces(tmp_path / "tested", "c.jsonl.gz")}
    tellers: list[Teller] = []

    def new() -> Teller:
        tellers.append(Teller())
        return tellers[-1]

    names = [name for name, _ in carry_out(held_out(learnt, tested, ()), 1, new)]
    assert names == ["a", "c"]
    tools = [{call.tool for _, _, calls in teller.lessons for call in calls} for teller in tellers]
    assert tools == [{"get"}, {"get", "find"}]
    assert [next(known for _, known in teller.begun if known) for teller in tellers] == tools


def test_what_is_ignored_is_not_learnt(tmp_path: Path) -> None:
    path, teller = traces(tmp_path), Teller()
    list(carry_out(held_out({"a": path}, {"a": path}, ["of"]), 1, lambda: teller))
    assert teller.lessons[0][2] == [Call("get", {})]


def test_several_processes_find_the_same(tmp_path: Path) -> None:
    files = {"a": traces(tmp_path), "b": traces(tmp_path, "b.jsonl.gz", tool="find")}
    trials = cross_validated(files, 2, ())
    alone, together = (dict(carry_out(trials, jobs, LikeTheLast)) for jobs in (1, 2))
    assert list(alone) == list(together) == ["a", "b"]
    for name, judgement in alone.items():
        assert judgement.decisions == together[name].decisions
        assert len(judgement.decisions) == 4 * TASKS


def test_each_trial_is_told_as_it_ends(tmp_path: Path) -> None:
    files = {"a": traces(tmp_path), "b": traces(tmp_path, "b.jsonl.gz", tool="find")}
    told: list[tuple[str, int, int]] = []
    for name, _ in carry_out(cross_validated(files, 2, ()), 1, LikeTheLast, lambda *one: told.append(one)):
        assert told[-1] == (name, 2, 2)
    assert told == [("a", 1, 2), ("a", 2, 2), ("b", 1, 2), ("b", 2, 2)]
