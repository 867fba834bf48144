"""Tools of MCP servers: each server is a source of tools, and the proxy its client."""
