"""Install the MCP servers that `test_mcp_servers.py` drives: git, time, fetch, everything, filesystem, memory.

    python -m tests.conformance.install_mcp_servers

The folder is `.venvs/mcp-servers` here, or `$PASTE_MCP_SERVERS`. About 140 MB, a minute or two. Done once, a
second run returns at once; a change of `mcp_servers/` starts over. Without npm the last three are left out, and
their tests skipped.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from tests.conformance.install_sglang import install_once, installed_version, pip_install, step

RECIPE = Path(__file__).parent / "mcp_servers"
INSTALL_COMMAND = "python -m tests.conformance.install_mcp_servers"


def servers_folder() -> Path:
    default = Path(__file__).resolve().parents[2] / ".venvs" / "mcp-servers"
    return Path(os.environ.get("PASTE_MCP_SERVERS") or default)


def wanted_version() -> str:
    recipe = b"\0".join((RECIPE / name).read_bytes() for name in ("requirements.txt", "package.json"))
    return hashlib.sha256(recipe).hexdigest()[:16]


def find_program(name: str) -> Path | None:
    """The server's program, or None where it is not installed, or not as the recipe says."""
    folder = servers_folder()
    if installed_version(folder) != wanted_version():
        return None
    places = (folder / "bin" / name, folder / "node_modules" / ".bin" / name)
    return next((place for place in places if place.exists()), None)


def main() -> int:
    return install_once(servers_folder().resolve(), wanted_version(), build)


def build(folder: Path) -> None:
    pip_install(folder, "packages", "-r", str(RECIPE / "requirements.txt"))
    if (npm := shutil.which("npm")) is not None:
        shutil.copy(RECIPE / "package.json", folder)
        step("npm packages", npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent")


if __name__ == "__main__":
    sys.exit(main())
