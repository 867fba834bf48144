"""The LLM plane: relays every request to the backend, and taps the chat turns on the way."""
