"""Which session does a call at the gateway belong to? By id, then headers, then as the only equal one."""

from paste_proxy.broker.ties import ModelCall, Ties


def expecting(*calls: tuple[str, str, str]) -> Ties:
    """(session, call id, arguments), all of tool `t` and tenant `x`."""
    ties = Ties()
    for session, call_id, arguments in calls:
        ties.expect(ModelCall("x", session, call_id, "t", arguments))
    return ties


def claim(
    ties: Ties, arguments: str, call_id: str = "", named: tuple[str, ...] | None = None, tenant: str = "x"
) -> str:
    return ties.claim(tenant, "t", arguments, call_id=call_id, named=named)


def test_the_call_id_decides_among_equal_calls() -> None:
    ties = expecting(("s1", "c1", "{}"), ("s2", "c2", "{}"))
    assert claim(ties, "{}", "c2") == "s2"


def test_an_id_that_was_issued_for_another_call_ties_to_nothing() -> None:
    ties = expecting(("s1", "c1", '{"k":1}'), ("s2", "c2", '{"k":2}'))
    assert claim(ties, '{"k":2}', "c1") == ""


def test_an_id_that_two_sessions_share_ties_by_the_call() -> None:
    ties = expecting(("s1", "call_0", '{"k":1}'), ("s2", "call_0", '{"k":2}'))
    assert claim(ties, '{"k":2}', "call_0") == "s2"


def test_an_id_and_a_call_that_two_sessions_share_tie_to_nothing() -> None:
    ties = expecting(("s1", "call_0", "{}"), ("s2", "call_0", "{}"))
    assert claim(ties, "{}", "call_0") == ""


def test_headers_choose_among_equal_calls_of_several_sessions() -> None:
    ties = expecting(("s1", "c1", "{}"), ("s2", "c2", "{}"))
    assert claim(ties, "{}", named=("s2",)) == "s2"


def test_headers_that_name_one_session_are_enough() -> None:
    assert claim(Ties(), "{}", named=("s9",)) == "s9"


def test_headers_that_name_several_lineages_need_a_pending_call() -> None:
    ties = expecting(("s1", "c1", "{}"))
    assert claim(ties, "{}", named=("s1", "s2")) == "s1"
    assert claim(ties, "{}", named=("s1", "s2")) == ""


def test_without_id_and_headers_the_only_equal_call_of_the_tenant_is_it() -> None:
    ties = expecting(("s1", "c1", '{"k":1}'), ("s2", "c2", '{"k":2}'))
    assert claim(ties, '{"k":1}') == "s1"


def test_without_id_and_headers_two_equal_calls_tie_to_nothing() -> None:
    assert claim(expecting(("s1", "c1", "{}"), ("s2", "c2", "{}")), "{}") == ""
    assert claim(expecting(("s1", "c1", "{}"), ("s1", "c2", "{}")), "{}") == ""


def test_a_call_is_claimed_once() -> None:
    ties = expecting(("s1", "c1", "{}"))
    assert claim(ties, "{}") == "s1"
    assert claim(ties, "{}") == ""


def test_tenants_never_mix() -> None:
    assert claim(expecting(("s1", "c1", "{}")), "{}", "c1", tenant="y") == ""


def test_an_answered_call_is_no_longer_pending() -> None:
    ties = expecting(("s1", "c1", "{}"))
    ties.answered("s1", "c1")
    assert claim(ties, "{}", "c1") == ""


def test_a_forgotten_session_leaves_nothing_behind() -> None:
    ties = expecting(("s1", "c1", "{}"), ("s1", "c2", '{"k":1}'), ("s2", "c1", "{}"))
    ties.forget("s1")
    assert claim(ties, "{}", "c1") == "s2"
    ties.forget("s2")
    assert not any((ties._by_id, ties._unclaimed, ties._by_session))


def test_an_id_that_a_session_issues_again_replaces_the_first() -> None:
    ties = expecting(("s1", "c1", '{"k":1}'), ("s1", "c1", '{"k":2}'))
    assert claim(ties, '{"k":1}') == ""
    assert claim(ties, '{"k":2}') == "s1"


def test_a_call_that_is_asked_for_again_stays_with_its_session() -> None:
    ties = expecting(("s1", "c1", "{}"), ("s2", "c2", "{}"))
    assert claim(ties, "{}", "c1") == "s1"
    assert claim(ties, "{}", "c1") == "s1"
    assert claim(ties, "{}", "c2") == "s2"


def test_an_id_that_nobody_has_seen_ties_to_nothing() -> None:
    assert claim(expecting(("s1", "c1", "{}")), "{}", "z9") == ""


def test_an_id_of_another_session_is_never_that_of_the_one_that_is_named() -> None:
    """Some engines count the calls of each conversation from 0."""
    ties = expecting(("s1", "call_0", "{}"))
    assert claim(ties, "{}", "call_0", named=("s2", "s3")) == ""
    assert claim(ties, "{}", "call_0", named=("s2",)) == "s2"
    assert claim(ties, "{}") == "s1"


def test_the_name_decides_where_several_sessions_know_the_id() -> None:
    ties = expecting(("s1", "call_0", "{}"), ("s2", "call_0", "{}"))
    assert claim(ties, "{}", "call_0", named=("s2",)) == "s2"
    assert claim(ties, "{}") == "s1"


def test_an_id_that_the_client_made_leaves_it_to_the_name() -> None:
    ties = expecting(("s1", "c1", "{}"), ("s2", "c2", "{}"))
    assert claim(ties, "{}", "mine", named=("s2",)) == "s2"
    assert claim(ties, "{}", "mine") == ""


def test_an_id_that_the_named_session_issued_for_another_call_ties_to_nothing() -> None:
    ties = expecting(("s1", "c1", "{}"), ("s1", "c2", '{"k":2}'))
    assert claim(ties, '{"k":2}', "c1", named=("s1",)) == ""


def test_a_name_that_no_session_has_ties_to_nothing() -> None:
    assert claim(expecting(("bob", "c1", "{}")), "{}", named=()) == ""


def test_calls_without_ids_are_told_apart_by_their_place_until_their_session_asks_again() -> None:
    ties = Ties()
    for place, arguments in (("t 0", "{}"), ("t 1", '{"k":1}')):
        ties.expect(ModelCall("x", "s1", "", "t", arguments, place))
    ties.expect(ModelCall("x", "s1", "c1", "t", '{"k":2}'))
    assert claim(ties, "{}") == "s1"
    ties.left("s1")
    assert claim(ties, '{"k":1}') == ""
    assert claim(ties, '{"k":2}') == "s1"


def test_two_equal_calls_without_ids_tie_to_nothing() -> None:
    ties = Ties()
    for place in ("t 0", "t 1"):
        ties.expect(ModelCall("x", "s1", "", "t", "{}", place))
    assert claim(ties, "{}") == ""
    assert claim(ties, "{}", named=("s1",)) == "s1"
