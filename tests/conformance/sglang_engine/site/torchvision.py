"""Stands in for torchvision, which SGLang imports at start even to serve a text-only model.

Only names exist: an enum that its image processors read while they are imported, and functions that say
what is missing when called. The submodules are entered in `sys.modules`, so that one file is enough.
"""

# mypy: disable-error-code="attr-defined"

import enum
import sys
import types

__version__ = "0"
"""Read by `transformers`, which then keeps to image processors that do without torchvision."""
__path__: list[str] = []


class InterpolationMode(enum.Enum):
    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


def _placeholder(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)

    def missing(*_args: object, **_kwargs: object) -> object:
        raise NotImplementedError(f"torchvision is not installed: {name} was called for an image")

    return missing


def _submodule(name: str) -> types.ModuleType:
    module = types.ModuleType(f"torchvision.{name}")
    module.__dict__.update(InterpolationMode=InterpolationMode, __getattr__=_placeholder, __path__=[])
    sys.modules[module.__name__] = module
    return module


io = _submodule("io")
transforms = _submodule("transforms")
transforms.functional = _submodule("transforms.functional")
transforms.v2 = _submodule("transforms.v2")
transforms.v2.functional = _submodule("transforms.v2.functional")
