"""Which of the backend's paths are for everybody: those of models.

Engines have others beside them that act on all tenants at once (flush the cache, abort all requests, load
weights), some even with GET, and no list of them would stay complete. Where there are tenants, these are for
those with `admin: true`.
"""

import re
from urllib.parse import unquote

from paste_proxy.errors import ForbiddenError

MODELS = "/v1/"
EXACT = frozenset({"/generate", "/health", "/health_generate", "/model_info", "/get_model_info"})
"""SGLang's own API for prompts, and what only tells."""
_STEP = re.compile(r"(^|[/\\])\.{1,2}($|[/\\])")
"""A server behind the proxy might resolve it, and arrive elsewhere."""


def is_for_models(target: str) -> bool:
    path = target.partition("?")[0]
    if "%" in path:
        path = unquote(path)
    return (path.startswith(MODELS) and not _STEP.search(path)) or path in EXACT


def check_reach(target: str, *, admin: bool) -> None:
    """Raises `ForbiddenError`."""
    if not admin and not is_for_models(target):
        path = target.partition("?")[0][:100]
        raise ForbiddenError(
            f"{path} is not under {MODELS}: what may act on all tenants needs a key of one with `admin: true`"
        )
