"""paste-proxy: runs an agent's next tool call while the model still writes (PASTE, arXiv 2603.18897)."""

__version__ = "0.1.0"
