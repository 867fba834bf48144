"""The transition table of a speculation."""

import pytest

from paste_proxy.broker.lifecycle import LIVE, TRANSITIONS, LifecycleError, State, Trigger, transition


def test_every_pair_is_either_in_the_table_or_raises() -> None:
    for state in State:
        for trigger in Trigger:
            if (state, trigger) in TRANSITIONS:
                assert transition(state, trigger) is TRANSITIONS[state, trigger]
            else:
                with pytest.raises(LifecycleError, match=state.value):
                    transition(state, trigger)


def test_what_has_ended_never_moves_again() -> None:
    assert {state for state, _ in TRANSITIONS} == LIVE


def test_every_state_can_be_reached() -> None:
    assert {State.QUEUED, *TRANSITIONS.values()} == set(State)


def test_only_a_claim_shows_a_result_to_anybody() -> None:
    shown = {State.REUSED, State.JOINED, State.PROMOTED}
    assert {trigger for (_, trigger), state in TRANSITIONS.items() if state in shown} == {Trigger.CLAIM}
