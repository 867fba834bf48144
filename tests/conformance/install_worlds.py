"""Install executable worlds of others: AgentDojo in a virtual environment, BFCL's dialogues beside it.

    python3 -m tests.conformance.install_worlds

Needs nothing but Python and pip. The folder is `.venvs/worlds` here, or `$PASTE_WORLDS_VENV`. About 300 MB, a
minute. Of `bfcl-eval` nothing is used that needs its requirements (6 GB), so it lies alone in a folder. Done
once, a second run returns at once; a change of what is required starts over.
"""

import hashlib
import os
import sys
from pathlib import Path

from tests.conformance.install_sglang import install_once, installed_version, pip_install, step

HERE = Path(__file__).parent / "worlds"
AGENTDOJO, BFCL = HERE / "requirements.txt", HERE / "bfcl_requirements.txt"
INSTALL_COMMAND = "python3 -m tests.conformance.install_worlds"


def worlds_folder() -> Path:
    default = Path(__file__).resolve().parents[2] / ".venvs" / "worlds"
    return Path(os.environ.get("PASTE_WORLDS_VENV") or default)


def find_worlds() -> Path | None:
    """The environment's Python, or None where it is not installed, or not as the requirements say."""
    folder = worlds_folder()
    return folder / "bin" / "python" if installed_version(folder) == wanted_version() else None


def bfcl_folder() -> Path:
    """What to add to the path to import `bfcl_eval`."""
    return worlds_folder() / "bfcl"


def wanted_version() -> str:
    return hashlib.sha256(AGENTDOJO.read_bytes() + BFCL.read_bytes()).hexdigest()[:16]


def main() -> int:
    return install_once(worlds_folder().resolve(), wanted_version(), build)


def build(folder: Path) -> None:
    # What is imported is compiled, here: all that AgentDojo requires takes 18 s of CPU.
    pip_install(folder, "agentdojo", "--no-compile", "-r", str(AGENTDOJO))
    step("first import", str(folder / "bin" / "python"), "-c", "import agentdojo.task_suite.load_suites")
    pip_install(folder, "bfcl-eval", "--no-deps", "--target", str(folder / "bfcl"), "-r", str(BFCL))


if __name__ == "__main__":
    sys.exit(main())
