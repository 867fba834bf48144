"""Three worlds that outlive their tests: starting processes takes longer than all that is done to them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.chaos.support import SILENCE_S, World, world


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def alone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One engine."""
    async with world(tmp_path_factory.mktemp("alone")) as at:
        yield at


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def hasty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One, which is given up when it is silent for a moment."""
    async with world(tmp_path_factory.mktemp("hasty"), silence_s=SILENCE_S) as at:
        yield at


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Two."""
    async with world(tmp_path_factory.mktemp("pair"), "one", "two") as at:
        yield at
