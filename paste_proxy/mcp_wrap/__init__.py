"""An MCP server in front of another one: the same to its agent, with its reads leased to the proxy."""
