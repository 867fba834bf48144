"""Settings, metrics, paths and commands that are not documented fail here."""

import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

import paste_proxy.app  # noqa: F401 - for the error classes of all parts
from paste_proxy import errors
from paste_proxy.cli import commands
from paste_proxy.config import BackendConfig, Config
from paste_proxy.observe import metrics
from paste_proxy.proxy.counters import RelayCounters

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")


def settings(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, object]]:
    for field in msgspec.structs.fields(struct):
        key = prefix + field.name
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from settings(field.type, key + ".")
        elif (kind := _kind_of_entries(field.type)) is BackendConfig:
            yield key, {}  # those of `backend`
        elif kind is not None:
            yield from settings(kind, key + ".NAME.")
        elif field.default_factory is not msgspec.NODEFAULT:
            yield key, field.default_factory()
        else:
            yield key, "" if field.default is msgspec.NODEFAULT else field.default


def _kind_of_entries(kind: object) -> type[msgspec.Struct] | None:
    """Of a mapping from names to structs."""
    entry = typing.get_args(kind)[1:]
    is_struct = bool(entry) and isinstance(entry[0], type) and issubclass(entry[0], msgspec.Struct)
    return entry[0] if is_struct else None


def documented() -> dict[str, str]:
    rows = re.findall(r"^\| `([\w.]+)` \| ?(.*?) ?\|", CONFIGURATION, re.MULTILINE)
    return {key: default.strip("`") for key, default in rows}


def test_every_setting_is_documented_with_its_default() -> None:
    actual = {key: _written(default) for key, default in settings(Config)}
    assert documented() == actual


def _written(default: object) -> str:
    if default in ("", None):
        return ""
    if isinstance(default, float) and default == int(default):
        return str(int(default))
    return json.dumps(default) if isinstance(default, list | tuple | bool) else str(default)


def test_the_threat_model_names_what_there_is() -> None:
    text = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|paste_proxy|docs)/[\w/.-]+)`", text)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_metric_is_documented() -> None:
    source = Path(metrics.__file__).read_text(encoding="utf-8")
    named = set(re.findall(r'"(paste_\w+)"', source))
    written = {name.removesuffix("_total") for name in re.findall(r"`(paste_\w+)", OPERATIONS)}
    assert named == written


def test_every_relay_counter_is_exported() -> None:
    source = Path(metrics.__file__).read_text(encoding="utf-8")
    for field in msgspec.structs.fields(RelayCounters):
        assert f"relay.{field.name}" in source, field.name


def test_every_command_and_option_is_documented() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, command in commands.commands.items():
        assert f"`paste-proxy {name}`" in OPERATIONS
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert any(option in readme for option in parameter.opts), (name, parameter.opts)


def family(error: type[errors.PasteError]) -> Iterator[type[errors.PasteError]]:
    yield error
    for child in error.__subclasses__():
        yield from family(child)


def test_every_error_code_that_a_client_can_meet_is_documented() -> None:
    start_up = {"internal_error", "bad_config", "bad_plugin", "unavailable", "lab_failed"}
    for error in family(errors.PasteError):
        if error.__module__.startswith("paste_proxy."):
            assert error.code in start_up or f"`{error.code}`" in OPERATIONS, error.code
