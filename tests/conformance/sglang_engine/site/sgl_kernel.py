"""Stands in for SGLang's compiled kernels, which exist for GPUs only.

SGLang imports names from here even where it then computes with plain torch; calling one says so.
"""


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)

    def missing(*_args: object, **_kwargs: object) -> object:
        raise NotImplementedError(f"sgl_kernel.{name} needs SGLang's GPU build")

    return missing
