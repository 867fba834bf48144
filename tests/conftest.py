"""What holds for all tests.

Property tests have no deadline: how long an example takes says how busy the machine is. Tests of time measure
that of the processor. Tests against real engines share these, so one process runs them all.
"""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ENGINES = Path(__file__).parent / "conformance"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(ENGINES):
            item.add_marker(pytest.mark.xdist_group("engines"))
