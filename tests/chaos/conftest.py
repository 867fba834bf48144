"""Two worlds that outlive their tests: starting processes takes longer than all that is done to them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.chaos.support import World, world


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def alone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One engine."""
    async with world(tmp_path_factory.mktemp("alone")) as at:
        yield at


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Two."""
    async with world(tmp_path_factory.mktemp("pair"), "one", "two") as at:
        yield at
