"""A model of an engine: what batching, KV memory and the prefix cache do to requests, in virtual time."""
