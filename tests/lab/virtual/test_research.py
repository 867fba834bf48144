"""The search service answers as the real plugin does."""

import pytest

from paste_proxy.errors import InvalidArgumentsError
from paste_proxy.lab.sizes import SEARCH
from paste_proxy.lab.virtual.research import Research
from paste_proxy.tools.arguments import decode_arguments


@pytest.mark.parametrize("limit", [0, 101, 10_000_000])
def test_no_search_finds_more_than_the_service_gives(limit: int) -> None:
    spec = Research().world.specs[SEARCH]
    assert decode_arguments(spec, b'{"query": "a", "limit": 100}') == {"query": "a", "limit": 100}
    with pytest.raises(InvalidArgumentsError, match="limit"):
        decode_arguments(spec, f'{{"query": "a", "limit": {limit}}}'.encode())
