"""`paste-proxy lab predict`: the predictor judged on recorded sessions."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import click
import msgspec
import orjson

from paste_proxy.lab.prediction.judge import Judgement
from paste_proxy.lab.prediction.lessons import new_predictor
from paste_proxy.lab.prediction.report import table
from paste_proxy.lab.prediction.scores import Scores, scores_of
from paste_proxy.lab.prediction.sessions import trace_files
from paste_proxy.lab.prediction.trials import Trial, carry_out, check_parted, cross_validated, held_out
from paste_proxy.predict.predictor import PARTS

FOLDS = 5
"""A fifth of the tasks is judged by what the others taught: the usual split."""
RATIONALES = "reason,description,explanation,rationale,thought,justification,activeForm"
"""What agents call the arguments in which models say why (Claude Code, deer-flow, tau-bench)."""
POOLED = "all"
SPARSE_S = 10.0
"""Between lines that only say how far it is: the longest file takes minutes, most take seconds."""


def _names(_context: click.Context, _parameter: click.Parameter, value: str) -> frozenset[str]:
    return frozenset(filter(None, (name.strip() for name in value.split(","))))


@click.command("predict")
@click.argument("traces", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--test",
    "tested",
    metavar="OTHER_TRACES",
    type=click.Path(path_type=Path, exists=True),
    help="Learn from TRACES, judge on these, file by file of the same name.",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 100),
    help=f"Without --test: learn from all folds of the tasks but one, and judge on that.  [default: {FOLDS}]",
)
@click.option("--only", metavar="NAME", multiple=True, help="Judge this file alone; may be said several times.")
@click.option(
    "--ignore-arguments",
    "ignored",
    default=RATIONALES,
    show_default=True,
    callback=_names,
    help="Arguments that mean nothing to results: neither learnt nor compared.",
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(PARTS),
    help="Leave a part of the predictor out, to see what it is worth; may be said several times.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    help="Processes at once.  [default: as many as there are processors]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the scores as one JSON object.")
def predict_command(
    *,
    traces: Path,
    tested: Path | None,
    folds: int | None,
    only: tuple[str, ...],
    ignored: frozenset[str],
    without: tuple[str, ...],
    jobs: int | None,
    as_json: bool,
) -> None:
    """Judge the predictor on recorded sessions: a folder's *.jsonl.gz, or one file.

    Calls count as foreseen if tool and all arguments are equal. A row of the table is a source:

    \b
    source, calls:      the file, and the calls of its sessions
    recall:             share that could have been named at all, however unlikely
    hit@1, 95 %:        share that was the first call expected, at its turn's
                        beginning or after the call before it; its interval
    hit@3:              share that was among the first three expected
    reads @1, reads @3: the same two of calls that only read
    cal. error:         how far estimates are from what came, 0 to 1
    above .8, right:    candidates surer than 0.8; share of them that came
    before seal:        share foreseen before it was written out, with the
                        turn's text and arguments heard
    turn left:          of those, the median share of the turn to come
    p50 us, p99 us:     what a decision takes

    docs/lab.md ("Judging the predictor") says it in full.
    """
    if tested is not None and folds is not None:
        raise click.BadParameter("with --test nothing is parted", param_hint="--folds")
    if tested is None:
        files = trace_files(traces, only)
        check_parted(files, folds or FOLDS)
        trials = cross_validated(files, folds or FOLDS, ignored)
    else:
        trials = held_out(trace_files(traces), trace_files(tested, only), ignored)
        _warn_of_known(trials)
    progress = _Progress()
    new = partial(new_predictor, frozenset(without))
    sources, pooled = _scored(carry_out(trials, jobs or os.cpu_count() or 1, new, progress.told), progress)
    if as_json:
        scores = {"sources": msgspec.to_builtins(sources), "pooled": msgspec.to_builtins(pooled)}
        click.echo(orjson.dumps(scores, option=orjson.OPT_INDENT_2))
    else:
        click.echo("\n".join(table({**sources, POOLED: pooled} if len(sources) > 1 else sources)))


def _warn_of_known(trials: Mapping[str, Sequence[Trial]]) -> None:
    for name, several in trials.items():
        if any(trial.tested.resolve() in map(Path.resolve, trial.learnt) for trial in several):
            known = f"{name}: judged on what it has learnt from: hits are too many"
            click.echo(f"{known}; without --test it is judged by folds", err=True)


class _Progress:
    """Standard output holds the scores alone; that it goes on is said beside it."""

    def __init__(self) -> None:
        self._started = self._said = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def told(self, name: str, ended: int, of: int) -> None:
        """The last is told with the scores."""
        if ended < of and time.monotonic() - self._said >= SPARSE_S:
            self.say(f"{name}: {ended} of {of} folds, {self.seconds:.0f} s")

    def say(self, line: str) -> None:
        self._said = time.monotonic()
        click.echo(line, err=True)


def _scored(judged: Iterator[tuple[str, Judgement]], progress: _Progress) -> tuple[dict[str, Scores], Scores]:
    sources: dict[str, Scores] = {}
    everything = Judgement()
    for name, judgement in judged:
        sources[name] = scores_of(judgement)
        everything.add(judgement)
        progress.say(f"{name}: {sources[name].test_calls} calls, {progress.seconds:.0f} s")
    return sources, scores_of(everything)
