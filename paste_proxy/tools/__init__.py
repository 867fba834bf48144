"""Tools: the authoring API (`tool`, `Effect`, ...), plugins, and the executors that run them."""

from paste_proxy.errors import ConfigError, ToolError
from paste_proxy.tools.authoring import Tool, tool
from paste_proxy.tools.ports import Perishable, RunContext
from paste_proxy.tools.spec import Effect, ToolSpec

__all__ = ["ConfigError", "Effect", "Perishable", "RunContext", "Tool", "ToolError", "ToolSpec", "tool"]
