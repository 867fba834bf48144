"""The LLM plane: relays every request to the backend, and taps the turns on the way."""
