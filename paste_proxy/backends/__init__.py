"""Backends: what each kind can do is data; `BackendControl` finds the kind out and speaks to it for us."""

from paste_proxy.backends.adapters import OPENAI, SGLANG, VLLM, Backend
from paste_proxy.backends.control import BackendControl
from paste_proxy.backends.detection import Found, detect_backend
from paste_proxy.backends.text import ModelInfo, ReplyText

__all__ = [
    "OPENAI",
    "SGLANG",
    "VLLM",
    "Backend",
    "BackendControl",
    "Found",
    "ModelInfo",
    "ReplyText",
    "detect_backend",
]
