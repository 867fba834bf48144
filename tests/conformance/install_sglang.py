"""Build a real SGLang that runs on a CPU, in a virtual environment of its own.

    python -m tests.conformance.install_sglang

Needs nothing but Python and pip. The folder is `.venvs/sglang` here, or `$PASTE_SGLANG_VENV`. Done once, a
second run returns at once; a change in `sglang_engine/` or an interrupted run starts over. It takes about
2.5 GB and, on two cores, about two minutes. What makes SGLang work without a GPU:

- `sglang_engine/requirements.txt`: the packages it loads, less those that only GPUs can use;
- `sglang_engine/site/`: stand-ins for two packages that it imports and, for text, never calls;
- `sglang_engine/make_model.py`: a tiny model with a tokenizer of its own, so that nothing is downloaded.

`paste_proxy/lab/sglang_server.py` reads the marker file written here and starts the server.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

RECIPE = Path(__file__).parent / "sglang_engine"
MARKER = "paste-install.json"
ENVIRONMENT = {"SGLANG_USE_CPU_ENGINE": "1", "PYTHONDONTWRITEBYTECODE": "", "PYTHONWARNINGS": "ignore"}
"""What is imported here is compiled here, once; uncompiled, each of the engine's starts takes two minutes."""


def main() -> int:
    folder = Path(os.environ.get("PASTE_SGLANG_VENV") or Path(__file__).parents[2] / ".venvs" / "sglang")
    version = recipe_version()
    if installed_version(folder) == version:
        print(f"{folder}: already there ({version})")
        return 0
    try:
        install(folder.resolve(), version)
    except subprocess.CalledProcessError as error:
        print(f"{folder}: not installed: code {error.returncode} from {error.cmd}", file=sys.stderr)
        return 1
    except FileExistsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def recipe_version() -> str:
    """Changes with any file of the recipe."""
    digest = hashlib.sha256()
    for path in sorted(RECIPE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(RECIPE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def installed_version(folder: Path) -> str | None:
    marker = folder / MARKER
    if not marker.exists():
        return None
    version: str = json.loads(marker.read_text(encoding="utf-8"))["version"]
    return version


def install(folder: Path, version: str) -> None:
    """Every step, from nothing; the marker comes last, so half an installation is never taken for one."""
    python = folder / "bin" / "python"
    remove_old(folder)
    make_environment(folder)
    requirements = str(RECIPE / "requirements.txt")
    pip_install(folder, "packages (about 1.2 GB)", "--no-deps", "--no-compile", "-r", requirements)
    copy_stand_ins(python)
    step("first import", str(python), "-c", "import sglang.srt.entrypoints.http_server")
    model = folder / "model"
    step("model", str(python), str(RECIPE / "make_model.py"), str(model))
    template = shutil.copy(RECIPE / "chat_template.jinja", folder)
    marker = {"version": version, "python": str(python), "model": str(model), "chat_template": str(template)}
    (folder / MARKER).write_text(json.dumps(marker), encoding="utf-8")


def install_once(folder: Path, version: str, build: Callable[[Path], None]) -> int:
    """`build` the environment from nothing, unless it is there in this version; the exit code."""
    if installed_version(folder) == version:
        print(f"{folder}: already there ({version})")
        return 0
    try:
        remove_old(folder)
        make_environment(folder)
        build(folder)
    except subprocess.CalledProcessError as error:
        print(f"{folder}: not installed: code {error.returncode} from {error.cmd}", file=sys.stderr)
        return 1
    except FileExistsError as error:
        print(error, file=sys.stderr)
        return 1
    (folder / MARKER).write_text(json.dumps({"version": version}), encoding="utf-8")
    return 0


def make_environment(folder: Path) -> None:
    """Without a pip of its own: ours installs there, and a copy takes 7 s of CPU."""
    step(f"virtual environment {folder}", sys.executable, "-m", "venv", "--without-pip", str(folder))


def pip_install(folder: Path, name: str, *arguments: str) -> None:
    pip = (sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"))
    step(name, *pip, "install", "-q", *arguments)


def remove_old(folder: Path) -> None:
    """Deletes an earlier installation; what shows that it was ours goes last. Raises `FileExistsError`."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / "pyvenv.cfg").exists():
        raise FileExistsError(f"{folder}: not a virtual environment, left as it is; name another folder")
    for part in folder.iterdir():
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part)
        elif part.name != "pyvenv.cfg":
            part.unlink()
    shutil.rmtree(folder)


def copy_stand_ins(python: Path) -> None:
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()
    for source in (RECIPE / "site").glob("*.py"):
        shutil.copy(source, packages)


def step(name: str, *command: str, **environment: str) -> None:
    started = time.monotonic()
    print(f"{name} ...", flush=True)
    subprocess.run(command, check=True, env={**os.environ, **ENVIRONMENT, **environment})
    print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
