"""The configuration file: what is wrong is named by its path; relative paths count from the file."""

from pathlib import Path

import pytest

from paste_proxy.config import Config, load_config
from paste_proxy.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def written(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("listen: {port: x}", "listen.port: Expected `int`"),
        ("speculation: {allow: all}", "speculation.allow: Expected `array`"),
        ("backend: {ur: y}", "backend: Object contains unknown field `ur`"),
        ("plugins:\n- path: a\n- pth: b", "plugins[1]: Object contains unknown field `pth`"),
        ("speculation: {mode: maybe}", "speculation.mode: Invalid enum value 'maybe'"),
        ("- a list", "Expected `object`"),
        ("a: [", "not YAML"),
        ("\ttabs: 1", "not YAML"),
    ],
)
def test_a_bad_key_is_named_by_file_and_path_in_one_line(tmp_path: Path, text: str, where: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(file) in caught.value.message
    assert where in caught.value.message
    assert "\n" not in caught.value.message


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not YAML"):
        load_config(tmp_path / "binary")


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "# nothing\n")) == Config()


def test_relative_paths_count_from_the_file(tmp_path: Path) -> None:
    text = "plugins: [{path: p.py}, {path: /abs/p.py}, {entry_point: docs}]\nstore: {path: s.sqlite}"
    config = load_config(written(tmp_path, text))
    assert [plugin.path for plugin in config.plugins] == [str(tmp_path / "p.py"), "/abs/p.py", ""]
    assert config.store.path == str(tmp_path / "s.sqlite")


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.name)
def test_the_examples_are_valid(file: Path) -> None:
    assert load_config(file).backend.url
