"""Bytes in, events out: what a model says, read as it arrives. Imports nothing of the rest of the package."""
