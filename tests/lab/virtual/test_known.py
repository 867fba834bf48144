"""What others found of the research workload, found again; `python -m benchmarks.lab_known` has more of it."""

import pytest

from benchmarks.lab_known import Bench

TASKS = 48


@pytest.mark.slow
def test_top_three_and_the_oracle_save_what_is_known() -> None:
    """Simulated over many draws of tasks, 0.779 +- 0.016 and 0.743 +- 0.018 of the native time."""
    ratio = {row["cell"]: row["ratio"] for row in Bench(TASKS, 0).ahead([1])}
    assert 0.747 < ratio["top three"] < 0.811
    assert 0.707 < ratio["O"] < 0.779
    assert ratio["O"] < ratio["B"] < 0.82


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_beyond_its_memory_the_engine_thrashes_and_a_semaphore_halves_the_mean() -> None:
    """With 900,000 KV tokens; with four million a semaphore only makes tasks wait."""
    rows = {(row["engine"], row["cell"]): row for row in Bench(TASKS, 0).memory([64], [16])}
    assert rows["research", "A"]["prefix_hits"] < 0.2
    assert 0.4 < rows["research", "semaphore 16"]["ratio"] < 0.65
    assert rows["research", "semaphore 16"]["prefix_hits"] > 0.85
    assert rows["research-4m", "semaphore 16"]["ratio"] > 1.2
