"""Install executable worlds of others: AgentDojo in a virtual environment, BFCL's dialogues beside it.

    python3 -m tests.conformance.install_worlds

Needs nothing but Python and pip. The folder is `.venvs/worlds` here, or `$PASTE_WORLDS_VENV`. About 300 MB, a
minute. Of `bfcl-eval` nothing is used that needs its requirements (6 GB), so it lies alone in a folder. Done
once, a second run returns at once; a change of what is required starts over.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conformance.install_sglang import MARKER, installed_version, remove_old, step

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
    folder = worlds_folder().resolve()
    if find_worlds() is not None:
        print(f"{folder}: already there ({wanted_version()})")
        return 0
    try:
        remove_old(folder)
        step(f"virtual environment {folder}", sys.executable, "-m", "venv", str(folder))
        install = (str(folder / "bin" / "python"), "-m", "pip", "install", "-q")
        step("agentdojo", *install, "-r", str(AGENTDOJO))
        step("bfcl-eval", *install, "--no-deps", "--target", str(folder / "bfcl"), "-r", str(BFCL))
    except subprocess.CalledProcessError as error:
        print(f"{folder}: not installed: code {error.returncode} from {error.cmd}", file=sys.stderr)
        return 1
    except FileExistsError as error:
        print(error, file=sys.stderr)
        return 1
    (folder / MARKER).write_text(json.dumps({"version": wanted_version()}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
