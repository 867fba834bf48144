"""What runs in an agent's process: its tools, wrapped, so that the proxy may have them run ahead."""

from paste_proxy.client.bound import WrapError
from paste_proxy.client.calling import session, tool_call
from paste_proxy.client.wrapping import close, wrap
from paste_proxy.tools.spec import Effect

__all__ = ["Effect", "WrapError", "close", "session", "tool_call", "wrap"]
