"""The client without its socket, one situation after the other."""

import json
import random

import pytest

from tests.client.client_driver import Driver, frame
from tests.client.model_server import DIRECT, GROUP, ME, OTHER, Log, ModelServer
from trimaran_client import ClientState, Message, Options, Phase, Rejected, SendFailed, ServerComplained
from trimaran_client.backoff import Again, Over
from trimaran_client.commands import encode_body
from trimaran_client.errors import OutboxInUse
from trimaran_client.events import ConversationChanged, Disconnected
from trimaran_client.frames import Notification, Presence, Typing
from trimaran_client.limits import ANSWER_S, SILENCE_BEFORE_SYNCED_S


def texts(driver: Driver, conversation: str = DIRECT) -> list[str]:
    return [entry.text for entry in driver.entries(conversation)]


# --- the cursor rule ---


def test_live_entries_are_applied_in_order_and_once() -> None:
    driver = Driver(ModelServer()).synced()
    for text in "abc":
        driver.other_posts(DIRECT, text)
    driver.to_client.append(driver.to_client[0])
    driver.move()
    driver.take()
    assert texts(driver) == ["a", "b", "c"]


def test_a_gap_is_pulled() -> None:
    driver = Driver(ModelServer()).synced()
    for text in "abc":
        driver.other_posts(DIRECT, text)
    del driver.to_client[0]
    driver.move()
    driver.take()
    assert texts(driver) == ["a", "b", "c"]
    assert [pull["after"] for pull in driver.server.received("pull")] == [0]


def test_a_hidden_entry_counts_as_applied_and_makes_no_event() -> None:
    driver = Driver(ModelServer()).synced()
    driver.other_posts(DIRECT)
    driver.server.hide(DIRECT)
    driver.collect()
    driver.other_posts(DIRECT)
    driver.move()
    driver.take()
    assert driver.seqs(DIRECT) == [1, 3]
    assert not driver.server.received("pull")


def test_skipped_ranges_of_a_page_count_as_applied() -> None:
    driver = Driver(ModelServer()).synced()
    driver.other_posts(DIRECT)
    driver.server.hide(DIRECT)
    driver.collect()
    driver.server.hide(DIRECT)
    driver.collect()
    driver.other_posts(DIRECT)
    for _ in range(3):
        del driver.to_client[0]
    driver.move()
    driver.take()
    assert driver.seqs(DIRECT) == [1, 4]
    assert driver.client.conversations[DIRECT].cursor == 4


def test_an_ack_counts_as_the_own_entry() -> None:
    driver = Driver(ModelServer()).synced()
    driver.send(DIRECT, "mine")
    driver.move()
    driver.other_posts(DIRECT, "theirs")
    driver.move()
    driver.take()
    assert texts(driver) == ["mine", "theirs"]
    own = driver.entries(DIRECT)[0]
    assert (own.is_own, own.sender, own.seq) == (True, ME, 1)
    assert not driver.server.received("pull")


def test_an_ack_above_a_gap_is_given_at_once_and_its_entry_in_order() -> None:
    driver = Driver(ModelServer()).synced()
    driver.other_posts(DIRECT, "theirs")
    driver.to_client.clear()
    client_id = driver.send(DIRECT, "mine")
    driver.move()
    driver.take()
    assert driver.acks() == {client_id: 2}
    assert texts(driver) == ["theirs", "mine"]
    assert driver.entries(DIRECT)[1].is_own


def test_entries_before_first_are_not_missed() -> None:
    server = ModelServer()
    for _ in range(5):
        server.post(DIRECT, "old")
    server.logs[DIRECT].first, server.logs[DIRECT].delivered = 4, 0
    driver = Driver(server).synced()
    driver.take()
    assert driver.seqs(DIRECT) == [4, 5]


def test_a_new_device_starts_at_its_cursor() -> None:
    server = ModelServer()
    for _ in range(5):
        server.post(DIRECT, "old")
    server.logs[DIRECT].delivered = 3
    driver = Driver(server).synced()
    driver.take()
    assert driver.seqs(DIRECT) == [4, 5]


def test_what_the_replay_left_is_pulled_page_by_page() -> None:
    server = ModelServer(DIRECT, GROUP)
    for _ in range(450):
        server.post(DIRECT, "old")
    for _ in range(150):
        server.post(GROUP, "old")
    driver = Driver(server).synced()
    driver.move()
    driver.take()
    assert driver.seqs(DIRECT) == list(range(1, 451))
    assert driver.seqs(GROUP) == list(range(1, 151))


def test_behind_is_pulled() -> None:
    driver = Driver(ModelServer()).synced()
    for _ in range(3):
        driver.other_posts(DIRECT)
    driver.to_client.clear()
    driver.to_client.append(frame("behind", conversations=[{"conversation": DIRECT, "head": 3}]))
    driver.move()
    driver.take()
    assert driver.seqs(DIRECT) == [1, 2, 3]


def test_a_new_conversation_starts_with_its_first_message() -> None:
    driver = Driver(ModelServer()).synced()
    driver.server.logs[GROUP] = Log(GROUP)
    driver.to_client.append(frame("conversations", conversations=[driver.server.logs[GROUP].record()]))
    driver.other_posts(GROUP, "welcome")
    driver.move()
    driver.take()
    assert texts(driver, GROUP) == ["welcome"]


def test_the_first_message_to_somebody_makes_the_conversation() -> None:
    server = ModelServer(GROUP)
    driver = Driver(server).synced()
    client_id = driver.send(None, "hello", to=OTHER)
    driver.move()
    driver.take()
    assert driver.acks() == {client_id: 1}
    assert texts(driver, DIRECT) == ["hello"]


def test_a_pull_that_brings_nothing_is_not_repeated_in_a_tight_loop() -> None:
    driver = Driver(ModelServer()).synced()
    driver.to_client.append(frame("behind", conversations=[{"conversation": DIRECT, "head": 7}]))
    driver.move()
    assert driver.pass_time(120.0)
    assert 3 <= len(driver.server.received("pull")) <= 40
    for _ in range(7):
        driver.server.post(DIRECT, "late")
    assert driver.pass_time(60.0)
    driver.take()
    assert driver.seqs(DIRECT) == list(range(1, 8))


def test_a_text_of_a_page_says_up_to_where_it_is_finished() -> None:
    server = ModelServer()
    driver = Driver(server).synced()
    server.post(DIRECT, "first")
    server.post(DIRECT, "changed", kind="edit", ref=1)
    driver.collect()
    driver.to_client.clear()
    driver.other_posts(DIRECT, "third")
    driver.move()
    driver.take()
    first, edit, third = driver.entries(DIRECT)
    assert (first.text, first.as_of, edit.as_of, third.as_of) == ("changed", 3, 3, 3)
    assert first.edited is not None
    assert first.edited.seq == edit.seq == 2


# --- sends ---


def test_a_lost_send_is_repeated_with_the_same_id_and_says_so() -> None:
    driver = Driver(ModelServer()).synced()
    client_id = driver.send(DIRECT)
    driver.emit()
    driver.disconnect()
    driver.connect()
    driver.move()
    sends = driver.server.received("send")
    assert [(send["client_id"], send.get("retry")) for send in sends] == [(client_id, True)]
    assert driver.acks() == {client_id: 1}


def test_a_lost_ack_ends_in_one_entry() -> None:
    driver = Driver(ModelServer()).synced()
    client_id = driver.send(DIRECT)
    driver.emit()
    driver.give_server()
    driver.disconnect()
    driver.connect()
    driver.move()
    driver.take()
    assert driver.server.logs[DIRECT].head == 1
    assert driver.acks() == {client_id: 1}
    assert driver.seqs(DIRECT) == [1]


def test_a_send_that_nobody_answers_is_repeated_on_the_same_connection() -> None:
    driver = Driver(ModelServer()).synced()
    client_id = driver.send(DIRECT)
    driver.emit()
    driver.to_server.clear()
    assert driver.pass_time(ANSWER_S + 1.0)
    assert driver.acks() == {client_id: 1}
    assert driver.server.received("send")[0]["retry"] is True


def test_a_passing_error_is_retried_after_the_time_given() -> None:
    server = ModelServer()
    server.refuse = [{"code": "unavailable", "retry_after_s": 5.0}, {"code": "rate_limited"}]
    driver = Driver(server).synced()
    first, second = driver.send(DIRECT, "1"), driver.send(DIRECT, "2")
    driver.move()
    assert driver.pass_time(4.9)
    assert len(server.received("send")) == 1
    assert driver.pass_time(10.0)
    assert driver.acks() == {first: 1, second: 2}
    assert [send.get("retry", False) for send in server.received("send")] == [False, True, True, False]


def test_a_permanent_error_goes_to_the_caller_and_the_next_message_goes_on() -> None:
    server = ModelServer()
    server.refuse = [{"code": "too_large", "field": "body"}]
    driver = Driver(server).synced()
    first, second = driver.send(DIRECT, "1"), driver.send(DIRECT, "2")
    driver.move()
    error = driver.outcomes[0].result
    assert driver.outcomes[0].key == first
    assert isinstance(error, Rejected)
    assert (error.code, error.field) == ("too_large", "body")
    assert driver.acks() == {second: 1}


def test_an_error_that_names_only_the_client_id_is_understood() -> None:
    driver = Driver(ModelServer()).synced()
    client_id = driver.send(DIRECT)
    driver.emit()
    driver.to_server.clear()
    driver.to_client.append(frame("error", client_id=client_id, code="forbidden", message="no"))
    driver.move()
    assert driver.outcomes[0].key == client_id


def test_a_frame_that_would_close_the_connection_is_never_sent() -> None:
    server = ModelServer()
    server.limits = {"frame_bytes": 300}
    driver = Driver(server).synced()
    first, second = driver.send(DIRECT, "x" * 300), driver.send(DIRECT, "y")
    driver.move()
    error = driver.outcomes[0].result
    assert isinstance(error, Rejected)
    assert (driver.outcomes[0].key, error.code) == (first, "too_large")
    assert driver.acks() == {second: 1}


def test_sends_keep_to_the_rate_that_the_server_announces() -> None:
    server = ModelServer(*[f"g:{number}" for number in range(60)])
    server.limits = {"sends_per_s": 10, "sends_burst": 20}
    driver = Driver(server).synced()
    for number in range(60):
        driver.send(f"g:{number}")
    driver.move()
    assert len(server.received("send")) == 18
    assert driver.pass_time(2.0)
    assert len(server.received("send")) in range(18 + 16, 18 + 20)
    assert driver.pass_time(10.0)
    assert len(driver.acks()) == 60


def test_messages_of_an_earlier_run_are_retries_from_the_start() -> None:
    server = ModelServer()
    old = Driver(server)
    items = [old.item(DIRECT, "1"), old.item(DIRECT, "2")]
    driver = Driver(server, outbox=items, owner=ME).synced()
    assert [send["retry"] for send in server.received("send")] == [True, True]
    assert driver.acks() == {items[0].client_id: 1, items[1].client_id: 2}


def test_the_outbox_of_one_user_is_not_sent_by_another() -> None:
    server = ModelServer()
    driver = Driver(server, outbox=[Driver(server).item(DIRECT)], owner=OTHER)
    driver.connect()
    driver.move()
    assert isinstance(driver.client.fatal, OutboxInUse)
    assert not server.received("send")


@pytest.mark.parametrize("body", [{"a": object()}, {"a": "\ud800"}, {"text": "x" * 20_000}])
def test_a_body_that_cannot_be_sent_is_refused_at_once(body: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        encode_body(body, 16_384)


# --- connections ---


def test_the_second_hello_says_what_the_first_sync_gave() -> None:
    driver = Driver(ModelServer(), options=Options(replay=10, replay_each=5)).synced()
    driver.disconnect()
    driver.synced()
    first, second = driver.server.received("hello")
    assert first == {"type": "hello", "token": "token", "replay": 10, "replay_each": 5}
    assert second == first | {"since": "s1"}


def test_nothing_is_sent_before_synced_but_hello_and_marks() -> None:
    driver = Driver(ModelServer())
    driver.send(DIRECT)
    driver.client.pull(DIRECT, after=0, before=None, limit=None)
    driver.connect()
    driver.emit()
    driver.give_server()
    while "synced" not in driver.to_client[0]:
        driver.give_client()
        driver.emit()
    assert not driver.to_server
    driver.move()
    assert {frame["type"] for frame in driver.server.frames} == {"hello", "send", "pull"}


def test_ten_seconds_of_silence_before_synced_end_the_connection() -> None:
    driver = Driver(ModelServer())
    driver.connect()
    driver.emit()
    driver.to_server.clear()
    assert driver.pass_time(SILENCE_BEFORE_SYNCED_S - 0.1)
    assert not driver.pass_time(0.2)


def test_each_frame_before_synced_gives_ten_more_seconds() -> None:
    driver = Driver(ModelServer())
    driver.connect()
    driver.emit()
    driver.give_server()
    for _ in range(2):
        driver.clock.s += 9.0
        assert driver.client.on_timer(driver.clock.s)
        driver.give_client()
    assert driver.client.phase is Phase.REPLAYING


def test_a_silent_server_is_asked_and_then_left() -> None:
    driver = Driver(ModelServer()).synced()
    assert driver.pass_time(300.0)
    assert len(driver.server.received("ping")) == 12
    driver.connection = None
    assert not driver.pass_time(40.0)


def test_a_client_that_does_not_read_does_not_mistake_that_for_silence() -> None:
    driver = Driver(ModelServer(), options=Options(events_max=3)).synced()
    for _ in range(9):
        driver.other_posts(DIRECT)
    driver.move()
    driver.pass_time(1.0)
    assert driver.client.may_pause
    driver.client.pause()
    assert driver.pass_time(1000.0)
    driver.client.resume(driver.clock.s)
    assert driver.client.on_timer(driver.clock.s)


def test_marks_are_repeated_after_each_hello_until_the_server_has_them() -> None:
    driver = Driver(ModelServer()).synced()
    for _ in range(3):
        driver.other_posts(DIRECT)
    driver.move()
    driver.take()
    driver.emit()
    assert json.loads(driver.to_server[-1])["delivered"] == 3
    driver.disconnect()
    driver.synced()
    assert driver.server.logs[DIRECT].delivered == 3
    assert len(driver.server.received("mark")) == 1
    driver.disconnect()
    driver.synced()
    assert len(driver.server.received("mark")) == 1, "the server says that it knows"
    driver.server.logs[DIRECT].delivered = 1
    driver.disconnect()
    driver.synced()
    assert driver.server.logs[DIRECT].delivered == 3, "a server that forgot is told again"


def test_marks_go_out_once_a_second_and_conversation() -> None:
    driver = Driver(ModelServer()).synced()
    for _ in range(50):
        driver.other_posts(DIRECT)
        driver.move()
        driver.take()
        assert driver.pass_time(0.1)
    assert driver.pass_time(1.0)
    assert 5 <= len(driver.server.received("mark")) <= 7
    assert driver.server.logs[DIRECT].delivered == 50


def test_marks_of_what_was_not_applied_wait_for_it() -> None:
    driver = Driver(ModelServer()).synced()
    driver.other_posts(DIRECT)
    driver.move()
    driver.client.mark(DIRECT, read=5, now_s=driver.clock.s)
    driver.pass_time(2.0)
    assert driver.server.logs[DIRECT].read == 1
    for _ in range(5):
        driver.other_posts(DIRECT)
    driver.move()
    driver.client.mark(DIRECT, read=5, now_s=driver.clock.s)
    driver.pass_time(2.0)
    assert driver.server.logs[DIRECT].read == 5


def test_a_mark_in_an_unknown_conversation_is_refused() -> None:
    driver = Driver(ModelServer()).synced()
    with pytest.raises(Rejected, match="not_found"):
        driver.client.mark(GROUP, read=1, now_s=0.0)


def test_without_auto_mark_only_the_application_marks() -> None:
    driver = Driver(ModelServer(), options=Options(auto_mark=False)).synced()
    driver.other_posts(DIRECT)
    driver.server.hide(DIRECT)
    driver.move()
    driver.take()
    driver.pass_time(5.0)
    assert not driver.server.received("mark")
    driver.client.mark(DIRECT, delivered=1, now_s=driver.clock.s)
    driver.pass_time(1.0)
    assert [mark["delivered"] for mark in driver.server.received("mark")] == [1]


def test_an_entry_at_work_is_not_marked_and_what_follows_hidden_is_marked_with_it() -> None:
    driver = Driver(ModelServer()).synced()
    driver.other_posts(DIRECT)
    driver.server.hide(DIRECT)
    driver.collect()
    driver.move()
    while not isinstance(event := driver.client.take_event(), Message):
        assert event is not None
    driver.pass_time(5.0)
    assert driver.server.logs[DIRECT].delivered == 0
    driver.client.settle(event, driver.clock.s)
    driver.pass_time(1.0)
    assert driver.server.logs[DIRECT].delivered == 2


def test_watched_users_are_watched_again_after_each_hello() -> None:
    driver = Driver(ModelServer()).synced()
    driver.client.watch([OTHER])
    driver.move()
    driver.disconnect()
    driver.synced()
    assert [watch["users"] for watch in driver.server.received("watch")] == [[OTHER], [OTHER]]
    assert sum(isinstance(event, Presence) for event in driver.take()) == 2


def test_typing_without_a_connection_is_dropped() -> None:
    driver = Driver(ModelServer())
    driver.client.typing(DIRECT, True)
    driver.synced()
    assert not driver.server.received("typing")
    driver.client.typing(DIRECT, True)
    driver.client.typing(DIRECT, False)
    driver.move()
    assert [typing["on"] for typing in driver.server.received("typing")] == [False], "the last one counts"


def test_a_token_is_renewed_on_the_live_connection() -> None:
    driver = Driver(ModelServer()).synced()
    driver.client.renew("newer", 0.0)
    driver.move()
    assert [renew["token"] for renew in driver.server.received("renew")] == ["newer"]
    assert driver.client.statistics()["unanswered"] == 0


def test_the_plan_after_the_end_follows_the_close_code() -> None:
    driver = Driver(ModelServer()).synced()
    assert isinstance(driver.disconnect(4001), Again)
    driver.synced()
    assert driver.disconnect(4503) == Over(4503, "")
    assert [event.code for event in driver.take() if isinstance(event, Disconnected)] == [4001]


def test_moved_is_shown_to_the_caller_until_the_next_connection() -> None:
    driver = Driver(ModelServer()).synced()
    client_id = driver.send(DIRECT)
    driver.emit()
    driver.to_server.clear()
    driver.to_client.append(frame("moved", url="ws://elsewhere/chat/ws", within_s=5))
    driver.give_client()
    assert driver.client.moved is not None
    assert driver.client.moved.url == "ws://elsewhere/chat/ws"
    driver.synced()
    assert driver.client.moved is None
    assert driver.acks() == {client_id: 1}


# --- pages that the application asks for ---


def test_a_page_moves_no_cursor_and_survives_a_reconnect() -> None:
    server = ModelServer()
    for _ in range(5):
        server.post(DIRECT, "old")
    server.logs[DIRECT].delivered = 5
    driver = Driver(server).synced()
    ticket = driver.client.pull(DIRECT, after=None, before=4, limit=2)
    driver.emit()
    driver.disconnect()
    driver.synced()
    assert [outcome.key for outcome in driver.outcomes] == [ticket]
    page = driver.pages()[0]
    assert [message.seq for message in page.messages] == [2, 3]
    assert [message.as_of for message in page.messages] == [5, 5]
    assert driver.client.conversations[DIRECT].cursor == 5


def test_a_page_that_is_refused_is_refused_to_the_caller() -> None:
    driver = Driver(ModelServer()).synced()
    driver.client.pull(GROUP, after=0, before=None, limit=None)
    driver.move()
    assert str(driver.outcomes[0].result) == "not_found: no"


def test_a_page_that_nobody_waits_for_is_dropped() -> None:
    driver = Driver(ModelServer()).synced()
    ticket = driver.client.pull(DIRECT, after=0, before=None, limit=None)
    driver.emit()
    driver.client.cancel_pull(ticket)
    driver.move()
    assert not driver.outcomes


# --- the application ---


def test_a_slow_application_leaves_entries_in_the_log_and_gets_them_later() -> None:
    driver = Driver(ModelServer(), options=Options(events_max=10)).synced()
    driver.take()
    for _ in range(300):
        driver.other_posts(DIRECT)
    driver.move()
    assert driver.client.statistics()["events_waiting"] == 10
    assert len(driver.server.received("pull")) <= 2
    client_id = driver.send(DIRECT, "still works")
    driver.move()
    assert driver.acks() == {client_id: 301}
    while driver.take(3):
        driver.move()
    assert driver.seqs(DIRECT) == list(range(1, 302))


def test_hints_give_way_when_the_application_is_slow() -> None:
    driver = Driver(ModelServer(), options=Options(events_max=5)).synced()
    for _ in range(20):
        driver.to_client.append(frame("typing", conversation=DIRECT, user=OTHER, on=True))
    driver.move()
    assert driver.client.statistics()["events_shed"] >= 15
    assert driver.client.statistics()["events_waiting"] <= 5


def test_a_reader_that_sleeps_through_many_connections_is_told_of_the_last() -> None:
    driver = Driver(ModelServer(), options=Options(events_max=5))
    for _ in range(50):
        driver.synced()
        driver.disconnect()
    assert driver.client.statistics()["events_waiting"] <= 8


def test_unread_counts_the_texts_of_others_above_read() -> None:
    driver = Driver(ModelServer()).synced()
    conversation = driver.client.conversations[DIRECT]
    for _ in range(3):
        driver.other_posts(DIRECT)
    driver.move()
    assert conversation.unread == 3
    driver.client.mark(DIRECT, read=2, now_s=0.0)
    assert conversation.unread == 1
    driver.send(DIRECT)
    driver.move()
    assert conversation.unread == 0
    driver.other_posts(DIRECT)
    driver.move()
    assert conversation.unread == 1
    driver.to_client.append(frame("marks", conversation=DIRECT, marks=[{"user": ME, "read": 5}]))
    driver.move()
    assert conversation.unread == 0


def test_unread_at_the_start_is_what_the_server_says() -> None:
    server = ModelServer()
    for _ in range(7):
        server.post(DIRECT, "old")
    driver = Driver(server).synced()
    conversation = driver.client.conversations[DIRECT]
    assert conversation.unread == 7, "entries that are replayed are not counted twice"
    driver.other_posts(DIRECT)
    driver.move()
    assert conversation.unread == 8


def test_marks_of_others_show_on_the_conversation() -> None:
    driver = Driver(ModelServer()).synced()
    marks = [{"user": OTHER, "delivered": 4, "read": 2}, {"user": OTHER, "delivered": 3}]
    driver.to_client.append(frame("marks", conversation=DIRECT, marks=marks))
    driver.move()
    assert driver.client.conversations[DIRECT].peers == {OTHER: (4, 2)}


def test_other_frames_become_events() -> None:
    driver = Driver(ModelServer()).synced()
    driver.take()
    driver.to_client += [
        frame("typing", conversation=DIRECT, user=OTHER, on=True),
        frame("presence", user=OTHER, state="online"),
        frame("notification", notification={"id": "n"}),
        frame("error", code="bad_request", message="what?"),
        frame("pong", id=1, time_ms=5),
        frame("something_new", field=1),
    ]
    driver.move()
    kinds = [type(event) for event in driver.take()]
    assert kinds == [Typing, Presence, Notification, ServerComplained]


def test_a_failure_that_nobody_waits_for_becomes_an_event() -> None:
    client = ClientState(random.Random(1))
    client.tell_failed("c", Rejected("forbidden"))
    assert isinstance(client.take_event(), SendFailed)


def test_a_changed_conversation_is_announced_once() -> None:
    driver = Driver(ModelServer()).synced()
    record = driver.server.logs[DIRECT].record()
    for title in ("one", "two"):
        driver.to_client.append(frame("conversations", conversations=[record | {"title": title}]))
    driver.move()
    changed = [event for event in driver.take() if isinstance(event, ConversationChanged)]
    assert [event.conversation.title for event in changed] == ["two"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"type": 5}',
        '{"type": "message"}',
        '{"type": "message", "conversation": "d", "seq": "1"}',
        '{"type": "page", "skip": [[1]]}',
        '{"type": "synced", "pending": 3}',
    ],
)
def test_a_frame_that_makes_no_sense_is_counted_and_left_out(text: str) -> None:
    driver = Driver(ModelServer()).synced()
    driver.client.on_text(text, 0.0)
    assert driver.client.bad_frames == 1
    driver.other_posts(DIRECT)
    driver.move()
    driver.take()
    assert driver.seqs(DIRECT) == [1]


def test_what_only_the_client_may_say_is_not_taken_from_the_server() -> None:
    driver = Driver(ModelServer()).synced()
    driver.to_client.append(
        frame("message", conversation=DIRECT, seq=1, sender=OTHER, kind="text", body={}, is_own=True, as_of=99)
    )
    driver.move()
    driver.take()
    entry = driver.entries(DIRECT)[0]
    assert (entry.is_own, entry.as_of) == (False, 1)
