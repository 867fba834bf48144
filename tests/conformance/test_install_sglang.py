"""The installer's decisions; `.ci/run` does what it takes minutes to do."""

from pathlib import Path

import pytest

from paste_proxy.lab.sglang_server import find_install
from tests.conformance import install_sglang
from tests.conformance.install_sglang import MARKER, installed_version, main, recipe_version, remove_old

MARKED = '{"version": "%s", "python": "p", "model": "m", "chat_template": "c"}'


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the installer is told to use; it looks like an interrupted installation."""
    folder = tmp_path / "venv"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "half.py").touch()
    (folder / "pyvenv.cfg").touch()
    (folder / "lib64").symlink_to("lib")
    monkeypatch.setenv("PASTE_SGLANG_VENV", str(folder))
    return folder


def test_a_finished_installation_is_left_alone(
    venv: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (venv / MARKER).write_text(MARKED % recipe_version(), encoding="utf-8")
    monkeypatch.setattr(install_sglang, "install", lambda *_: pytest.fail("installed again"))
    assert main() == 0
    assert "already there" in capsys.readouterr().out
    assert find_install() is not None


@pytest.mark.parametrize("marker", [None, MARKED % "an older recipe"])
def test_a_half_or_older_installation_is_made_anew(
    venv: Path, monkeypatch: pytest.MonkeyPatch, marker: str | None
) -> None:
    if marker is not None:
        (venv / MARKER).write_text(marker, encoding="utf-8")
    asked: list[tuple[Path, str]] = []
    monkeypatch.setattr(install_sglang, "install", lambda *arguments: asked.append(arguments))
    assert main() == 0
    assert asked == [(venv, recipe_version())]


def test_an_older_installation_is_removed(venv: Path) -> None:
    remove_old(venv)
    assert not venv.exists()


def test_a_folder_of_somebody_else_is_not_touched(
    venv: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (venv / "pyvenv.cfg").unlink()
    assert main() == 1
    assert "not a virtual environment" in capsys.readouterr().err
    assert (venv / "lib" / "half.py").exists()


def test_a_failing_step_is_reported(
    venv: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.executable", "false")
    assert main() == 1
    assert "not installed: code 1 from" in capsys.readouterr().err
    assert installed_version(venv) is None


def test_the_version_changes_with_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install_sglang, "RECIPE", tmp_path)
    versions = {recipe_version()}
    (tmp_path / "requirements.txt").write_text("a==1", encoding="utf-8")
    versions.add(recipe_version())
    (tmp_path / "requirements.txt").write_text("a==2", encoding="utf-8")
    versions.add(recipe_version())
    assert len(versions) == 3
