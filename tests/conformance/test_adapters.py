"""Wrapped tools of the frameworks, beside unwrapped ones: same results, same errors, same schemas."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.conformance.install_clients import INSTALL_COMMAND, clients_folder, find_clients

PROGRAM = Path(__file__).with_name("adapters.py")
TIMEOUT_S = 120.0
"""Three frameworks are imported: some 10 s of CPU."""


@pytest.mark.conformance
@pytest.mark.timeout(180)
async def test_wrapped_tools_do_as_unwrapped_ones_do() -> None:
    python = find_clients()
    if python is None:
        pytest.skip(f"no clients in {clients_folder()}; to install them: {INSTALL_COMMAND}")
    process = await asyncio.create_subprocess_exec(
        str(python),
        str(PROGRAM),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PROGRAM.parents[2]), "OPENAI_AGENTS_DISABLE_TRACING": "1"},
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    assert out.decode().split() == ["agents_sdk", "langchain", "pydantic"]
