"""The benchmark of what predicting costs; only that it measures, never how fast a machine is."""

from benchmarks.turns import decisions, listening, read_made_up


def test_it_measures_chunks_looks_names_and_arguments() -> None:
    found = listening(read_made_up(3, 4))
    chunks = found["chunks"]
    assert chunks["chunks"] > 50
    assert 0 < chunks["looks"] < chunks["chunks"]
    assert 0 < chunks["hear"] < chunks["all"]
    assert found["events"]["name"]["p50"] > 0


def test_it_measures_decisions() -> None:
    [short] = read_made_up(4, 1)
    found = decisions(short)
    assert 0 < found["p50"] <= found["p99"]
