from typing import Any

from paste_proxy.events import Identity
from paste_proxy.sessions.lineage import Lineage
from paste_proxy.sessions.table import Resolution
from tests.sessions.asking import START, Client, assistant, call, result, user


def test_an_unmodified_loop_is_one_session() -> None:
    client = Client()
    messages = list(START)
    first = client.ask(messages)
    assert (first.relation, first.fresh_from, first.parent, first.in_doubt) == ("new", 0, "", False)
    for turn in range(5):
        asked = call(f"c{turn}")
        client.reply(first.session, "I look.", asked)
        seen = len(messages)
        messages += [assistant("I look.", asked), result(asked)]
        assert client.ask(messages) == Resolution(first.session, "continued", "", seen, in_doubt=False)
    assert len(client.table) == 1


def test_two_tasks_with_one_system_prompt_are_two_sessions() -> None:
    client = Client()
    one, other = client.ask(START), client.ask([START[0], user("Something else.")])
    assert one.session != other.session
    assert other.relation == "new"


def test_equal_first_requests_part_with_their_replies() -> None:
    client = Client()
    one, other = client.ask(START), client.ask(START)
    assert one.session != other.session
    assert (other.relation, other.in_doubt) == ("new", False)
    client.reply(one.session, "", call("c1"))
    client.reply(other.session, "", call("c2"))
    for asked, session in ((call("c2"), other.session), (call("c1"), one.session)):
        again = client.ask([*START, assistant("", asked), result(asked)])
        assert (again.session, again.relation, again.in_doubt) == (session, "continued", False)


def test_ids_that_an_engine_counts_are_told_apart_by_arguments() -> None:
    client = Client()
    one, other = client.ask(START), client.ask(START)
    first, second = call("look:0", '{"a": 1}'), call("look:0", '{"a": 2}')
    client.reply(one.session, "", first)
    client.reply(other.session, "", second)
    assert client.ask([*START, assistant("", second), result(second)]).session == other.session


def test_twins_that_nothing_tells_apart_are_never_merged() -> None:
    client = Client()
    first = [client.ask(START).session for _ in range(3)]
    for session in first:
        client.reply(session, "Yes.")
    later = [client.ask([*START, assistant("Yes."), user(text)]) for text in "abc"]
    assert len({*first, *(one.session for one in later)}) == 6
    assert [(one.relation, one.in_doubt) for one in later] == [("new", True)] * 3
    fresh = client.ask(START)
    client.reply(fresh.session, "Yes.")
    assert client.ask([*START, assistant("Yes."), user("d")]).session == fresh.session


def test_a_twin_that_stayed_behind_goes_on_by_itself() -> None:
    client = Client()
    one, other = client.ask(START), client.ask(START)
    client.reply(one.session, "A.")
    more = [*START, assistant("A."), user("more")]
    assert client.ask(more).session == one.session
    client.reply(other.session, "A.")
    assert client.ask(more).session == other.session


def test_a_byte_equal_request_is_new_in_flight_and_when_answered_and_a_retry_after_a_failure() -> None:
    client = Client()
    first = client.ask(START)
    assert client.ask(START).relation == "new"
    client.fail(first.session)
    assert client.ask(START) == Resolution(first.session, "retry", "", 2, in_doubt=False)
    client.reply(first.session, "Yes.")
    again = client.ask(START)
    assert again.relation == "new"
    assert again.session != first.session


def test_a_request_with_other_parameters_is_a_retry_only_of_a_named_session() -> None:
    for name, relation in (("", "new"), ("n", "retry")):
        client = Client()
        client.fail(client.ask(START, name).session)
        assert client.ask(START, name, model="smaller").relation == relation


def test_two_that_failed_alike_are_in_doubt() -> None:
    client = Client()
    failed = [client.ask(START).session for _ in range(2)]
    for session in failed:
        client.fail(session)
    for _ in range(2):
        again = client.ask(START)
        assert again.in_doubt
        assert again.session not in failed


def test_after_an_interruption_the_session_goes_on_in_doubt() -> None:
    client = Client()
    session = client.ask(START).session
    client.fail(session)
    assert client.ask([*START, user("wait")]) == Resolution(session, "continued", "", 2, in_doubt=True)
    client.fail(session, "I was abo")
    again = client.ask([*START, user("wait"), assistant("I was abo"), user("go on")])
    assert again == Resolution(session, "continued", "", 3, in_doubt=False)


def test_a_second_continuation_of_one_prefix_is_a_child() -> None:
    client = Client()
    parent = client.ask(START).session
    client.reply(parent, "Yes.")
    base = [*START, assistant("Yes.")]
    assert client.ask([*base, user("one")]).session == parent
    child = client.ask([*base, user("two")])
    assert child == Resolution(child.session, "child", parent, 0, in_doubt=False)
    assert child.session != parent


def test_an_edited_history_is_a_new_session_of_its_parent() -> None:
    client = Client()
    parent = client.ask(START).session
    client.reply(parent, "Yes.")
    edited = client.ask([*START, assistant("No!"), user("more")])
    assert (edited.relation, edited.parent) == ("edited", parent)
    assert edited.session != parent


def test_a_compacted_history_is_linked_by_its_name() -> None:
    client = Client()
    parent = client.ask(START, "n").session
    compacted = client.ask([START[0], user("Summary: ...")], "n")
    assert (compacted.relation, compacted.parent) == ("edited", parent)
    title = client.ask([user("Give it a title.")], "n")
    assert (title.relation, title.parent) == ("new", "")
    assert client.table.by_name("default", "n") == [parent, compacted.session, title.session]
    client.reply(parent, "Yes.")
    client.ask([*START, assistant("Yes."), user("more")], "n")
    assert client.table.by_name("default", "n")[-1] == parent


def test_names_and_tenants_never_meet() -> None:
    client = Client()
    sessions = {
        client.ask(START, name, tenant).session for name in ("", "a", "b") for tenant in ("default", "t")
    }
    for session in sessions:
        client.reply(session, "Yes.")
    more = [*START, assistant("Yes."), user("more")]
    again = [client.ask(more, name, tenant) for name in ("", "a", "b") for tenant in ("default", "t")]
    assert {one.session for one in again} == sessions
    assert {one.relation for one in again} == {"continued"}
    assert client.table.by_name("t", "a") != client.table.by_name("default", "a")
    assert client.table.by_name("default", "") == []


def test_a_sub_agent_is_linked_to_the_session_that_it_names() -> None:
    client = Client()
    parent = client.ask(START, "s").session
    request = client.request([user("Sub-task.")])
    child = client.table.resolve(Identity(session="s/a", parent="s"), request, 0.0)
    assert (child.relation, child.parent) == ("new", parent)


def test_clients_drop_thinking_and_text_beside_calls() -> None:
    for said, kept in (("<think>hm</think> Yes.", "Yes."), ("I look.", ""), ("a  b", " a b\n")):
        client = Client()
        session = client.ask(START).session
        client.reply(session, said, *([call()] if not kept else []))
        asked = [call()] if not kept else []
        assert client.ask([*START, assistant(kept, *asked), user("more")]).session == session


def test_turns_that_were_not_seen_leave_a_doubt() -> None:
    client = Client()
    session = client.ask(START).session
    client.reply(session, "Yes.")
    later = [*START, assistant("Yes."), user("a"), assistant("b"), user("c")]
    assert client.ask(later) == Resolution(session, "continued", "", 2, in_doubt=True)


def test_the_next_request_may_come_before_the_turn_is_closed() -> None:
    client = Client()
    session = client.ask(START).session
    client.table.turn_replied(session, "t1", text="Yes.", calls=())
    assert client.ask([*START, assistant("Yes."), user("a")]).session == session
    client.table.turn_closed(session, "t1", 0.0, complete=False)
    client.reply(session, "Well.")
    again = client.ask([*START, assistant("Yes."), user("a"), assistant("Well."), user("b")])
    assert (again.session, again.relation) == (session, "continued")


def test_a_reply_that_was_whole_is_not_a_failure_when_the_client_leaves() -> None:
    client = Client()
    session = client.ask(START).session
    client.table.turn_replied(session, "t1", text="Yes.", calls=())
    client.fail(session)
    assert client.ask(START).relation == "new"


def test_idle_sessions_expire_and_those_in_flight_do_not() -> None:
    client = Client(idle_s=10.0)
    assert client.table.next_deadline() is None
    idle, busy = client.ask(START).session, client.ask([user("b")], "n").session
    client.reply(idle, "Yes.")
    assert client.table.next_deadline() == 10.0
    assert client.table.expire(9.9) == []
    assert client.table.expire(10.0) == [idle]
    assert client.table.next_deadline() is None, "nothing is due before the other's turn ends"
    client.now = 15.0
    client.reply(busy, "Yes.")
    assert client.table.by_name("default", "n") == [busy]
    assert client.table.expire(25.0) == [busy]
    assert client.table.by_name("default", "n") == []
    assert client.table.next_deadline() is None


def test_beyond_the_limit_the_one_longest_unheard_of_goes() -> None:
    client = Client(limit=2)
    sessions = []
    for number in range(3):
        sessions.append(client.ask([user(str(number))]).session)
        client.reply(sessions[-1], "Yes.")
    assert client.table.next_deadline() == 0.0
    assert client.table.expire(0.0) == [sessions[0]]
    assert len(client.table) == 2
    client.table.turn_opened(sessions[0], "x")
    client.reply(sessions[0], "late")
    client.table.forget(sessions[0])
    assert client.ask([user("2"), assistant("Yes."), user("a")]).session == sessions[2]


def test_a_session_whose_turn_is_in_flight_is_never_dropped() -> None:
    client = Client(limit=1)
    sessions = [client.ask([user(str(number))]).session for number in range(3)]
    assert client.table.expire(0.0) == []
    client.reply(sessions[1], "Yes.")
    client.ask([user("one more")])
    assert client.table.expire(0.0) == [sessions[1]]


class OneByOne(dict[str, Lineage]):
    """Sessions that nobody goes through."""

    def values(self) -> Any:
        raise AssertionError("each session was looked at")

    __iter__ = items = keys = values


def test_nor_is_it_looked_at_however_many_of_them_there_are() -> None:
    client = Client(limit=1, idle_s=10.0)
    client.table._lineages = OneByOne()
    sessions = [client.ask([user(str(number))]).session for number in range(100)]
    client.now = 5.0
    for session in reversed(sessions):
        client.reply(session, "Yes.")
    client.ask([user("0"), assistant("Yes."), user("a")])
    client.ask([user("one more")])
    assert client.table.next_deadline() == 5.0
    assert client.table.expire(5.0) == sessions[:0:-1], "the longest unheard of first, but for those in flight"
    assert len(client.table) == 2


def test_an_empty_history_is_a_session_of_its_own() -> None:
    client = Client()
    assert client.ask([]).session != client.ask([]).session


def test_ids_do_not_depend_on_anything_but_what_came() -> None:
    assert Client().ask(START) == Client().ask(START)


def test_a_long_session_keeps_a_bounded_number_of_points() -> None:
    client = Client()
    messages = list(START)
    session = client.ask(messages).session
    for n in range(40):
        client.reply(session, str(n))
        messages += [assistant(str(n)), user("more")]
        assert client.ask(messages).session == session
    assert client.ask([*START, user("from the start")]).parent == session
    client.table.forget(session)
    for other in client.table.by_name("default", ""):
        client.table.forget(other)
    assert len(client.table) == 1
