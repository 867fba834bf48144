"""Backends: what each kind can do is data; `BackendControl` finds the kind out and speaks to it for us."""

from paste_proxy.backends.adapters import OPENAI, SGLANG, Backend
from paste_proxy.backends.control import BackendControl, detect_backend

__all__ = ["OPENAI", "SGLANG", "Backend", "BackendControl", "detect_backend"]
