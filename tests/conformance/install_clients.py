"""Build a virtual environment with the agent frameworks that `test_clients.py` drives.

    python -m tests.conformance.install_clients

Needs nothing but Python and pip. The folder is `.venvs/clients` here, or `$PASTE_CLIENTS_VENV`: apart from the
project's own, since the frameworks disagree about versions with each other enough. About 600 MB, half a minute.
Done once, a second run returns at once; a change of `clients/requirements.txt` starts over.
"""

import hashlib
import os
import sys
from pathlib import Path

from tests.conformance.install_sglang import install_once, installed_version, pip_install, step

REQUIREMENTS = Path(__file__).parent / "clients" / "requirements.txt"
INSTALL_COMMAND = "python -m tests.conformance.install_clients"
IMPORTED = (
    "agents",
    "anthropic",
    "langchain_openai",
    "langgraph.prebuilt",
    "litellm",
    "openai",
    "pydantic_ai.models.openai",
    "smolagents",
)
"""What the clients import. That alone is compiled, here: all that is installed takes 32 s of CPU."""


def clients_folder() -> Path:
    default = Path(__file__).resolve().parents[2] / ".venvs" / "clients"
    return Path(os.environ.get("PASTE_CLIENTS_VENV") or default)


def find_clients() -> Path | None:
    """The environment's Python, or None where it is not installed, or not as the requirements say."""
    folder = clients_folder()
    return folder / "bin" / "python" if installed_version(folder) == wanted_version() else None


def wanted_version() -> str:
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]


def main() -> int:
    return install_once(clients_folder().resolve(), wanted_version(), build)


def build(folder: Path) -> None:
    pip_install(folder, "packages", "--no-compile", "-r", str(REQUIREMENTS))
    python = str(folder / "bin" / "python")
    # Without the variable, litellm asks the network for prices.
    step("first import", python, "-c", f"import {', '.join(IMPORTED)}", LITELLM_LOCAL_MODEL_COST_MAP="True")


if __name__ == "__main__":
    sys.exit(main())
