"""Whether the run that this task carries out is ahead of the model.

For the way out to other servers alone, which is more reserved then. Tools are not told: a result must not
depend on it.
"""

from contextvars import ContextVar

_AHEAD: ContextVar[bool] = ContextVar("ahead", default=False)


def is_ahead() -> bool:
    return _AHEAD.get()


def set_ahead(ahead: bool) -> None:
    """For this task, and those that it starts from now on."""
    _AHEAD.set(ahead)
