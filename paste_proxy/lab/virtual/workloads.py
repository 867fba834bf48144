"""The workloads that the lab knows by name, those in files, and mixes of them."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from paste_proxy.errors import ConfigError
from paste_proxy.lab.virtual.bfcl import load_bfcl
from paste_proxy.lab.virtual.experiment import LabWorkload
from paste_proxy.lab.virtual.mixed import Mixed
from paste_proxy.lab.virtual.replay import load_replays
from paste_proxy.lab.virtual.research import Research
from paste_proxy.lab.virtual.sources import FOLDS
from paste_proxy.lab.virtual.trace_world import load_traces
from paste_proxy.lab.virtual.traces import SUFFIXES, source_name, trace_file


class Choice(msgspec.Struct, frozen=True):
    """What was said of the workload."""

    traces: Path | None = None
    """The folder of recorded sessions."""
    seed: int = 0
    """Which fifth of the recorded tasks is measured."""

    @property
    def fold(self) -> int:
        return self.seed % FOLDS


Load = Callable[[str, Choice], LabWorkload]


def load_lab_workload(text: str, choice: Choice | None = None) -> LabWorkload:
    """A name, a file, or several with weights: `research:3,assistant:1`. Raises `ConfigError`."""
    choice = choice or Choice()
    parts = [_weighed(part) for part in text.split(",")]
    if len(parts) == 1:
        return _load(parts[0][0], choice)
    return Mixed([(_load(name, choice), weight) for name, weight in parts], choice.seed)


def _weighed(part: str) -> tuple[str, float]:
    """Without a weight it is 1."""
    name, colon, weight = part.strip().rpartition(":")
    if not colon:
        return weight, 1.0
    try:
        share = float(weight)
    except ValueError:
        share = math.nan
    if not 0 < share < math.inf:
        raise ConfigError(f"{part!r}: {weight!r} is no weight: a number above 0", param="workload")
    return name, share


def _load(name: str, choice: Choice) -> LabWorkload:
    if name in WORKLOADS:
        return WORKLOADS[name](name, choice)
    path = Path(name)
    if source := source_name(path):
        return load_traces(source, load_replays().of["file"], [path], choice.fold)
    if path.is_file():
        ends = " or ".join(SUFFIXES)
        raise ConfigError(f"{path}: a file of traces has a name that ends with {ends}", param="workload")
    known = ", ".join(WORKLOADS)
    raise ConfigError(
        f"there is no workload {name!r}; known: {known}, files of traces (.jsonl, .jsonl.gz)", param="workload"
    )


def _research(_name: str, _choice: Choice) -> LabWorkload:
    return Research()


def _recorded(name: str, choice: Choice) -> LabWorkload:
    replay = load_replays().of[name]
    return load_traces(name, replay, [trace_file(file, choice.traces) for file in replay.files], choice.fold)


def _bfcl(_name: str, choice: Choice) -> LabWorkload:
    return load_bfcl(choice.fold)


WORKLOADS: Mapping[str, Load] = {
    "research": _research,
    "assistant": _recorded,
    "coding": _recorded,
    "claude-code": _recorded,
    "bfcl": _bfcl,
}
