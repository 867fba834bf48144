"""Requests to other servers: HTTP tools from the configuration, and the guarded client under them."""
