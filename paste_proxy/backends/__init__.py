"""Backends: what each kind can do is data; `BackendControl` finds the kind out and speaks to it for us."""

from paste_proxy.backends.adapters import OPENAI, SGLANG, Backend
from paste_proxy.backends.control import BackendControl, Found, detect_backend
from paste_proxy.backends.text import ModelInfo, ReplyText

__all__ = ["OPENAI", "SGLANG", "Backend", "BackendControl", "Found", "ModelInfo", "ReplyText", "detect_backend"]
