"""Scores for people: one row a source."""

from collections.abc import Mapping

from paste_proxy.lab.prediction.scores import Scores

_COLUMNS = (
    "source",
    "calls",
    "recall",
    "hit@1",
    "95 %",
    "hit@3",
    "reads @1",
    "reads @3",
    "cal. error",
    "above .8",
    "right",
    "before seal",
    "turn left",
    "p50 us",
    "p99 us",
)


def table(sources: Mapping[str, Scores]) -> list[str]:
    lines = [_COLUMNS, *(_row(name, scores) for name, scores in sources.items())]
    lines += [_thinking(name, scores) for name, scores in sources.items() if scores.thinking]
    widths = [max(len(line[place]) for line in lines) for place in range(len(_COLUMNS))]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _row(name: str, scores: Scores) -> tuple[str, ...]:
    low_high = "-" if scores.hit1_ci95 is None else "{:.3f}-{:.3f}".format(*scores.hit1_ci95)
    micros = scores.decision_us
    return (
        name,
        str(scores.test_calls),
        _share(scores.recall_inf),
        _share(scores.hit1),
        low_high,
        _share(scores.hit3),
        _share(scores.read_only.hit1),
        _share(scores.read_only.hit3),
        _share(scores.calibration_error),
        str(scores.above_080.candidates),
        _share(scores.above_080.right),
        _share(scores.before_seal.hit1),
        _share(scores.before_seal.turn_left),
        "-" if micros is None else f"{micros.p50:.0f}",
        "-" if micros is None else f"{micros.p99:.0f}",
    )


def _thinking(name: str, scores: Scores) -> tuple[str, ...]:
    """A second row for sessions with visible reasoning: what hearing it adds."""
    thinking = scores.thinking
    assert thinking is not None
    row = ["", *[""] * (len(_COLUMNS) - 1)]
    row[0] = f"{name}, thinking"
    row[_COLUMNS.index("calls")] = str(thinking.test_calls)
    row[_COLUMNS.index("hit@1")] = _share(thinking.hit1)
    row[_COLUMNS.index("before seal")] = _share(thinking.before_seal.hit1)
    row[_COLUMNS.index("turn left")] = _share(thinking.before_seal.turn_left)
    return tuple(row)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
