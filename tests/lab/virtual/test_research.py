"""The search service answers as the real plugin does."""

import json

import pytest

from paste_proxy.lab.sizes import SEARCH
from paste_proxy.lab.virtual.research import MOST_RESULTS, Research


@pytest.mark.parametrize(
    ("limit", "found"), [(-1, 0), (0, 0), (3, 3), (100, MOST_RESULTS), (10_000_000, MOST_RESULTS)]
)
def test_no_search_finds_more_than_the_service_gives(limit: int, found: int) -> None:
    answer = Research().world.answer("7", SEARCH, {"query": "a", "limit": limit})
    assert len(json.loads(answer.output.body)["results"]) == found
