"""A timeline shows the same texts whatever mixture of live entries and pages it was fed."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.client.model_server import DIRECT, ME, OTHER, Log
from trimaran_client import Message, Page, Timeline
from trimaran_client.frames import decode


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """A log in which each reaction changes something."""
    log = Log(DIRECT)
    on: set[tuple[int, str, str]] = set()
    for _ in range(draw(st.integers(1, 25))):
        sender = draw(st.sampled_from([ME, OTHER]))
        kind = draw(st.sampled_from(["text", "text", "edit", "delete", "reaction", "member"]))
        ref = draw(st.integers(1, log.head)) if log.head else None
        if ref is None or kind in ("text", "member") or log.entries[ref - 1]["kind"] != "text":
            log.append(sender, None, kind if kind == "member" else "text", {"text": str(log.head)}, None)
        elif kind == "reaction":
            key = (ref, draw(st.sampled_from("ab")), sender)
            on ^= {key}
            log.append(sender, None, "reaction", {"emoji": key[1], "on": key in on}, ref)
        else:
            log.append(sender, None, kind, {"text": f"edit {log.head}"} if kind == "edit" else {}, ref)
    return log


def live(log: Log, seq: int) -> Message:
    message = decode(_json(log.shown(seq)))
    assert isinstance(message, Message)
    return _with(message, as_of=seq)


def page(log: Log, after: int, limit: int) -> Page:
    frame = decode(_json(log.page({"id": 1, "after": after, "limit": limit})))
    assert isinstance(frame, Page)
    return frame


def _json(frame: dict[str, Any]) -> bytes:
    return msgspec.json.encode(frame)


def _with(message: Message, **fields: Any) -> Message:
    return msgspec.structs.replace(message, **fields)


def shown(timeline: Timeline) -> list[Any]:
    return [(t.seq, t.text, t.deleted, t.reactions or None, t.edited and t.edited.seq) for t in timeline]


def part_of(log: Log, head: int) -> Log:
    part = Log(log.conversation)
    part.entries = log.entries[:head]
    return part


@given(log=logs(), data=st.data())
def test_pages_and_live_entries_in_any_mixture_end_in_the_same_texts(log: Log, data: st.DataObject) -> None:
    timeline = Timeline(ME)
    for seq in range(1, log.head + 1):
        if data.draw(st.integers(0, 3)) == 0:
            # A page as of some moment until now, of any range that was applied.
            timeline.on_page(page(part_of(log, seq - 1), data.draw(st.integers(0, seq - 1)), 200))
        timeline.on_entry(live(log, seq))
        if data.draw(st.booleans()):
            timeline.on_page(page(part_of(log, seq), data.draw(st.integers(0, seq)), data.draw(st.integers(1, 9))))
    expected = Timeline(ME)
    expected.on_page(page(log, 0, 200))
    texts = [entry for entry in page(log, 0, 200).messages if entry.kind == "text"]
    assert shown(timeline) == [
        (t.seq, "" if t.deleted else t.text, t.deleted, t.reactions or None, t.edited and t.edited.seq) for t in texts
    ]
    assert shown(timeline) == shown(expected)


def test_an_edit_of_what_a_page_contains_is_not_applied_twice() -> None:
    log = Log(DIRECT)
    log.append(OTHER, None, "text", {"text": "first"}, None)
    log.append(OTHER, None, "edit", {"text": "second"}, 1)
    log.append(OTHER, None, "edit", {"text": "third"}, 1)
    timeline = Timeline(ME)
    timeline.on_page(page(log, 0, 200))
    timeline.on_entry(live(log, 2))
    assert [text.text for text in timeline] == ["third"]


def test_an_old_page_does_not_bring_back_an_old_text() -> None:
    log = Log(DIRECT)
    log.append(OTHER, None, "text", {"text": "first"}, None)
    old = page(log, 0, 200)
    log.append(OTHER, None, "delete", {}, 1)
    timeline = Timeline(ME)
    timeline.on_entry(live(log, 1))
    timeline.on_entry(live(log, 2))
    timeline.on_page(old)
    assert timeline[1].deleted
    assert timeline[1].text == ""


def test_a_timeline_keeps_the_newest() -> None:
    log = Log(DIRECT)
    for number in range(9):
        log.append(OTHER, None, "text", {"text": str(number)}, None)
    timeline = Timeline(ME, texts_max=3)
    timeline.on_page(page(log, 0, 200))
    assert [text.seq for text in timeline] == [7, 8, 9]
    assert len(timeline) == 3
