"""What pyproject.toml lists is what is there: a package left out is missing from every installation."""

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_installed() -> None:
    listed = set(pyproject()["tool"]["setuptools"]["packages"])
    present = {
        ".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / "paste_proxy").rglob("__init__.py")
    }
    assert listed == present | {"paste_proxy_plugins"}


def test_every_plugin_is_an_entry_point() -> None:
    listed = pyproject()["project"]["entry-points"]["paste_proxy.plugins"]
    present = {file.stem for file in (ROOT / "plugins").glob("[!_]*.py")}
    assert listed == {name: f"paste_proxy_plugins.{name}" for name in present}
