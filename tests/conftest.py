"""Property tests have no deadline: how long an example takes says how busy the machine is.

Tests of time measure that of the processor. What starts real engines begins first, and in one process each.
"""

import gc
from itertools import groupby

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SHARED = ("tests/chaos/", "tests/conformance/parsers/", "tests/conformance/")
"""Folders with fixtures that outlive a file. An engine's start takes a minute of CPU, as do the peers' parsers:
in two processes there would be two of each."""


class Folders(LoadFileScheduling):
    """Keeps the tests of a file in one process, and those of a folder that shares what it starts."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((folder for folder in SHARED if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Folders | None:
    """None: xdist's own, for another `--dist` than pyproject.toml has."""
    return Folders(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with something slow in them come first: at the end, one process would do them alone."""
    files = [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]
    files.sort(key=lambda tests: not any(is_slow(test) for test in tests))
    items[:] = [item for tests in files for item in tests]


def pytest_collection_finish() -> None:
    """Thousands of tests stay until the end: whoever collects garbage need not look through them each time."""
    gc.collect()
    gc.freeze()


def is_slow(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) is not None for name in ("conformance", "slow"))
