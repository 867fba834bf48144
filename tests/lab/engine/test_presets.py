"""Engines by name and from files."""

from pathlib import Path

import msgspec
import pytest
import yaml

from paste_proxy.errors import ConfigError
from paste_proxy.lab.engine.presets import load_engine, load_presets
from paste_proxy.lab.workload import load_workload


def test_every_preset_names_its_source() -> None:
    assert all(spec.source for spec in load_presets().values())


def test_the_research_engine_has_the_rates_of_its_workload() -> None:
    stated, spec = load_workload().engine, load_engine("research")
    for name in msgspec.structs.asdict(stated):
        assert getattr(spec, name) == getattr(stated, name), name
    assert 1 / spec.decode_rate(9) == pytest.approx(stated.token_seconds(9))


def test_a_file_is_an_engine_too(tmp_path: Path) -> None:
    spec = msgspec.structs.replace(load_engine("research"), kv_tokens=77)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(msgspec.to_builtins(spec)))
    assert load_engine(str(path)) == spec


@pytest.mark.parametrize("text", ["kv_tokens: 3", "- a", "source: [", "kv_tokens: none"])
def test_what_is_no_engine_is_said_so(text: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="no engine model"):
        load_engine(str(path))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"known engines: .*research"):
        load_engine("nothing")
