import gc

from paste_proxy.lab.garbage import MIDDLE, OLD, YOUNG, rare_collections


def test_collections_are_rare_only_while_it_lasts() -> None:
    before = gc.get_threshold()
    with rare_collections():
        assert gc.get_threshold() == (YOUNG, MIDDLE, OLD)
    assert gc.get_threshold() == before
