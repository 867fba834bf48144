"""Unpack vLLM's tool-call and reasoning parsers, so that they can run beside ours.

    python3 -m tests.conformance.install_vllm_parsers

The folder is `.venvs/vllm-parsers` here, or `$PASTE_VLLM_PARSERS_VENV`. Only Python files are kept of vLLM's
wheel, since nothing of its kernels is needed; what the parsers import of torch, transformers and xgrammar comes
from the environment of SGLang, which has to be there (`install_sglang`). gpt-oss's parser reads token ids of
the o200k vocabulary: litellm's wheel carries that file. About 100 MB are left of 350 MB that are
downloaded; half a minute. Done once, a second run returns at once; a change of the recipe starts over.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.conformance.install_sglang import MARKER, installed_version, make_environment, remove_old, step

REQUIREMENTS = Path(__file__).parent / "parsers" / "peers" / "vllm_requirements.txt"
RUNNER = Path(__file__).parent / "parsers" / "peers" / "run_vllm.py"
INSTALL_COMMAND = "python3 -m tests.conformance.install_vllm_parsers"
VLLM = "vllm==0.33.0"
VOCABULARY_PACKAGE = "litellm==1.106.2"
VOCABULARY_FILE = "litellm/litellm_core_utils/tokenizers/fb374d419588a4632f3f557e76b4b70aebbca790"
"""o200k_base, under the name that tiktoken's cache gives it."""
VOCABULARY = "o200k_base.tiktoken"


def vllm_folder() -> Path:
    default = Path(__file__).resolve().parents[2] / ".venvs" / "vllm-parsers"
    return Path(os.environ.get("PASTE_VLLM_PARSERS_VENV") or default)


def sglang_folder() -> Path:
    default = Path(__file__).resolve().parents[2] / ".venvs" / "sglang"
    return Path(os.environ.get("PASTE_SGLANG_VENV") or default)


def find_vllm() -> Path | None:
    """The environment's Python, or None where it is not installed, or not as the recipe says."""
    folder = vllm_folder()
    return folder / "bin" / "python" if installed_version(folder) == wanted_version() else None


def wanted_version() -> str:
    """Changes with the recipe, and with the SGLang whose packages are used."""
    recipe = (
        VLLM,
        VOCABULARY_PACKAGE,
        str(sglang_folder().resolve()),
        str(installed_version(sglang_folder())),
        REQUIREMENTS.read_text(encoding="utf-8"),
    )
    return hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:16]


def main() -> int:
    folder = vllm_folder().resolve()
    if find_vllm() is not None:
        print(f"{folder}: already there ({wanted_version()})")
        return 0
    if installed_version(sglang_folder()) is None:
        print(f"{sglang_folder()}: no SGLang, whose packages are needed", file=sys.stderr)
        return 1
    try:
        install(folder)
    except subprocess.CalledProcessError as error:
        print(f"{folder}: not installed: code {error.returncode} from {error.cmd}", file=sys.stderr)
        return 1
    except (FileExistsError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    (folder / MARKER).write_text(json.dumps({"version": wanted_version()}), encoding="utf-8")
    return 0


def install(folder: Path) -> None:
    """Every step, from nothing."""
    remove_old(folder)
    make_environment(folder)
    python = folder / "bin" / "python"
    packages = purelib(python)
    (packages / "sglang.pth").write_text(f"{purelib(sglang_folder() / 'bin' / 'python')}\n", encoding="utf-8")
    pip = (sys.executable, "-m", "pip")
    step("packages", *pip, "install", "-qq", "--no-deps", "--target", str(packages), "-r", str(REQUIREMENTS))
    with tempfile.TemporaryDirectory(dir=folder) as wheels:
        download = (*pip, "download", "-qq", "--no-deps", "-d", wheels)
        step("wheels (about 350 MB)", *download, VLLM, VOCABULARY_PACKAGE)
        unpack(Path(wheels), packages, folder)
    step("first import", str(python), str(RUNNER), "--first-import")


def unpack(wheels: Path, packages: Path, folder: Path) -> None:
    """Of vLLM its Python files and its metadata; of the other package the vocabulary. Raises
    `FileNotFoundError` where there is none."""
    for wheel in wheels.iterdir():
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            if VOCABULARY_FILE in names:
                (folder / VOCABULARY).write_bytes(archive.read(VOCABULARY_FILE))
            else:
                kept = [name for name in names if name.endswith((".py", "METADATA"))]
                archive.extractall(packages, kept)
    if not (folder / VOCABULARY).exists():
        raise FileNotFoundError(f"{VOCABULARY_PACKAGE} has no vocabulary {VOCABULARY_FILE}")


def purelib(python: Path) -> Path:
    """Where this Python keeps its packages."""
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip())


if __name__ == "__main__":
    sys.exit(main())
