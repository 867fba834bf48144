"""The installer's decisions; `.ci/run` does what it takes a minute to do."""

import zipfile
from pathlib import Path

import pytest

from tests.conformance import install_vllm_parsers
from tests.conformance.install_sglang import MARKER
from tests.conformance.install_vllm_parsers import (
    VOCABULARY,
    VOCABULARY_FILE,
    find_vllm,
    main,
    unpack,
    wanted_version,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the installer is told to install, with an SGLang beside it; nothing is installed yet."""
    monkeypatch.setenv("PASTE_VLLM_PARSERS_VENV", str(tmp_path / "vllm"))
    monkeypatch.setenv("PASTE_SGLANG_VENV", str(tmp_path / "sglang"))
    mark(tmp_path / "sglang", "any")
    return tmp_path / "vllm"


def mark(folder: Path, version: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / MARKER).write_text(f'{{"version": "{version}"}}', encoding="utf-8")


def test_a_finished_installation_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mark(folder, wanted_version())
    monkeypatch.setattr(install_vllm_parsers, "install", lambda *_: pytest.fail("installed again"))
    assert main() == 0
    assert "already there" in capsys.readouterr().out
    assert find_vllm() == folder / "bin" / "python"


@pytest.mark.parametrize("marker", [None, "an older recipe"])
def test_a_missing_or_older_installation_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, marker: str | None
) -> None:
    folder.mkdir()
    if marker is not None:
        mark(folder, marker)
    asked: list[Path] = []
    monkeypatch.setattr(install_vllm_parsers, "install", asked.append)
    assert find_vllm() is None
    assert main() == 0
    assert asked == [folder]
    assert find_vllm() is not None


def test_without_sglang_nothing_is_begun(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.parent / "sglang" / MARKER).unlink()
    monkeypatch.setattr(install_vllm_parsers, "install", lambda *_: pytest.fail("installed"))
    assert main() == 1
    assert "no SGLang" in capsys.readouterr().err


def test_another_sglang_is_another_recipe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = wanted_version()
    mark(folder.parent / "sglang", "made anew")
    assert wanted_version() != before


def test_a_folder_of_somebody_else_is_not_touched(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.mkdir()
    (folder / "thesis.tex").touch()
    assert main() == 1
    assert "not a virtual environment" in capsys.readouterr().err
    assert (folder / "thesis.tex").exists()


def test_a_failing_step_is_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.executable", "false")
    assert main() == 1
    assert "not installed: code 1 from" in capsys.readouterr().err
    assert find_vllm() is None


def test_of_the_wheels_python_files_and_the_vocabulary_are_kept(tmp_path: Path) -> None:
    wheels, packages = tmp_path / "wheels", tmp_path / "packages"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "vllm-1-py3-none-any.whl", "w") as wheel:
        for name in ("vllm/parser.py", "vllm/kernels.so", "vllm-1.dist-info/METADATA"):
            wheel.writestr(name, name)
    with zipfile.ZipFile(wheels / "litellm-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr(VOCABULARY_FILE, "words")
        wheel.writestr("litellm/main.py", "")
    unpack(wheels, packages, tmp_path)
    assert (tmp_path / VOCABULARY).read_text(encoding="utf-8") == "words"
    kept = sorted(path.relative_to(packages).as_posix() for path in packages.rglob("*") if path.is_file())
    assert kept == ["vllm-1.dist-info/METADATA", "vllm/parser.py"]


def test_a_wheel_without_the_vocabulary_is_an_error(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "vllm-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("vllm/parser.py", "")
    with pytest.raises(FileNotFoundError, match="vocabulary"):
        unpack(wheels, tmp_path / "packages", tmp_path)
