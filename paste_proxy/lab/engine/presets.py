"""Engine models by name, or from a file that `paste-proxy lab calibrate` wrote."""

from importlib import resources
from pathlib import Path

import msgspec
import yaml

from paste_proxy.errors import ConfigError
from paste_proxy.lab.engine.spec import EngineSpec


def load_presets() -> dict[str, EngineSpec]:
    text = resources.files("paste_proxy.lab.engine").joinpath("presets.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.safe_load(text), dict[str, EngineSpec])


def load_engine(name: str) -> EngineSpec:
    """A preset's name or a file's path. Raises `ConfigError`."""
    presets = load_presets()
    if name in presets:
        return presets[name]
    path = Path(name)
    if not path.is_file():
        known = ", ".join(sorted(presets))
        raise ConfigError(f"{name!r} is no engine and no file; known engines: {known}", param="engine")
    try:
        return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), EngineSpec)
    except (yaml.YAMLError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: no engine model: {' '.join(str(error).split())}", param="engine") from error
