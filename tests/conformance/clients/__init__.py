"""One agent each, written as its framework's own guide shows: run by a virtual environment of their own.

Every file is a program: `python NAME.py BASE_URL`. It asks a question that the model must answer with a
tool call, runs the calls, sends the results back, takes the final answer, and prints one JSON line:
`{"calls": [{"id", "name", "arguments": {...}}], "turns": N}`, with the calls as the
client's own objects have them.
"""
