"""Who learns from what and is judged on what: folds of tasks, or other files; several processes at once."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

import msgspec

from paste_proxy.errors import ConfigError
from paste_proxy.lab.prediction.judge import Judgement, judge
from paste_proxy.lab.prediction.lessons import new_predictor, teach, tools_of
from paste_proxy.lab.prediction.sessions import Session, fold_of, read_sessions
from paste_proxy.lab.virtual.traces import read_traces
from paste_proxy.predict.model import Predictor


class Trial(msgspec.Struct, frozen=True):
    """One predictor: what it learns from, and what it is judged on."""

    learnt: tuple[Path, ...]
    tested: Path
    ignored: frozenset[str]
    """Arguments that are rationales."""
    fold: int = 0
    folds: int = 0
    """Tasks of the fold are judged, of the others learnt; 0: all of both."""

    def carry_out(self, new: Callable[[], Predictor]) -> Judgement:
        predictor = new()
        tools = frozenset[str]()
        for path in self.learnt:
            sessions = self._sessions(path, mine=False)
            tools |= tools_of(sessions)
            for session in sessions:
                teach(predictor, session)
        judgement = Judgement()
        for session in self._sessions(self.tested, mine=True):
            judge(predictor, session, tools, judgement)
        return judgement

    def _sessions(self, path: Path, *, mine: bool) -> list[Session]:
        sessions = _read(path, self.ignored)
        if not self.folds:
            return sessions
        return [session for session in sessions if (session.fold(self.folds) == self.fold) == mine]


@lru_cache(maxsize=1)
def _read(path: Path, ignored: frozenset[str]) -> list[Session]:
    """The folds of a file come one after another."""
    return read_sessions(path, ignored)


def check_parted(files: Mapping[str, Path], folds: int) -> None:
    """Who has learnt from nothing foresees nothing: zeros that say nothing of the predictor. Raises
    `ConfigError`."""
    for path in files.values():
        tasks = {trace.task for trace in read_traces(path)}
        if len({fold_of(task, folds) for task in tasks}) > 1:
            continue
        if len(tasks) > 1:
            reason = f"all {len(tasks)} tasks fall into one of {folds} folds; other --folds part them"
        else:
            reason = "all sessions are of one task; more are needed, or others to learn from (see --test)"
        among = ". --only leaves a file out" if len(files) > 1 else ""
        raise ConfigError(
            f"{path}: a task is judged by what others have taught, and {reason}{among}", param="traces"
        )


def cross_validated(files: Mapping[str, Path], folds: int, ignored: Collection[str]) -> dict[str, list[Trial]]:
    """Each task is judged once, by a predictor that has learnt from those of the other folds."""
    return {
        name: [Trial((path,), path, frozenset(ignored), fold, folds) for fold in range(folds)]
        for name, path in files.items()
    }


def held_out(
    learnt: Mapping[str, Path], tested: Mapping[str, Path], ignored: Collection[str]
) -> dict[str, list[Trial]]:
    """Each file is judged by a predictor that has learnt from that of the same name; from all without one."""
    return {
        name: [Trial((learnt[name],) if name in learnt else tuple(learnt.values()), path, frozenset(ignored))]
        for name, path in tested.items()
    }


def _silent(_name: str, _ended: int, _of: int) -> None:
    """Tells nobody."""


def carry_out(
    trials: Mapping[str, Sequence[Trial]],
    jobs: int,
    new: Callable[[], Predictor] = new_predictor,
    told: Callable[[str, int, int], None] = _silent,
) -> Iterator[tuple[str, Judgement]]:
    """Of each source the trials together, in order; `jobs` of them at once, each in a process of its own.

    `told` is called as trials end: of which source, and how many of its.
    """
    if jobs == 1:
        yield from _pooled(trials, map(partial(Trial.carry_out, new=new), _all(trials)), told)
        return
    with ProcessPoolExecutor(jobs) as pool:
        try:
            yield from _pooled(trials, pool.map(partial(Trial.carry_out, new=new), _all(trials)), told)
        finally:
            pool.shutdown(cancel_futures=True)


def _all(trials: Mapping[str, Sequence[Trial]]) -> list[Trial]:
    return [trial for several in trials.values() for trial in several]


def _pooled(
    trials: Mapping[str, Sequence[Trial]],
    judgements: Iterator[Judgement],
    told: Callable[[str, int, int], None],
) -> Iterator[tuple[str, Judgement]]:
    for name, several in trials.items():
        whole = Judgement()
        for ended, _ in enumerate(several, 1):
            whole.add(next(judgements))
            told(name, ended, len(several))
        yield name, whole
