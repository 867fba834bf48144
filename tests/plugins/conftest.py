from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paste_proxy.config import PluginConfig
from paste_proxy.tools.loading import Registry, load_plugins

PLUGINS = Path(__file__).parents[2] / "plugins"

Load = Callable[..., Registry]


@pytest.fixture(scope="session")
def load() -> Load:
    """Load one of the ready plugins, as the proxy does."""

    def load(name: str, **options: Any) -> Registry:
        return load_plugins([PluginConfig(path=str(PLUGINS / f"{name}.py"), options=options)])

    return load
