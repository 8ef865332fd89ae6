"""Records to JSON: what clients see. An entry is encoded once, and those bytes go to everyone.

Bodies are spliced in as they came. The field names are the contract; names are added, never changed. Each `..._json` gives one JSON object
as UTF-8 without a WebSocket header; REST answers with the same objects.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from core.base.errors import TrimaranError
from core.base.ids import ConversationId, UserId
from core.base.limits import ENVELOPE_BYTES, LAST_BODY_BYTES_MAX, REACTIONS_BYTES_MAX
from core.base.records import Entry, Listed, Page, PageEntry, Reaction, Sent

encode: Final = msgspec.json.Encoder().encode
"""Any of our small answers (dicts, structs) as JSON."""

FrameId = int | str | None


def message_json(entry: Entry) -> bytes:
    """The `message` frame of an entry, for whoever may see it."""
    return b'{"type":"message",' + _entry_fields(entry) + b"}"


def hidden_json(conversation: ConversationId, seq: int) -> bytes:
    """The `message` frame of an entry for the one reader who may not see it."""
    return f'{{"type":"message","conversation":"{conversation}","seq":{seq},"kind":"hidden"}}'.encode()


def _entry_fields(entry: Entry) -> bytes:
    device = f'"device":"{entry.device}",' if entry.device else ""
    ref = f'"ref":{entry.ref},' if entry.ref else ""
    return (
        f'"conversation":"{entry.conversation}","seq":{entry.seq},"sender":"{entry.sender}",{device}'
        f'"client_id":"{entry.client_id}","kind":"{entry.kind}",{ref}"time_ms":{entry.time_ms},"body":'
    ).encode() + entry.body


def page_entry_json(item: PageEntry, *, body_bytes_max: int | None = None) -> bytes:
    """An entry of a page. With `body_bytes_max` a longer body is left out (`last` of a listing)."""
    fields = [b"{" + _entry_fields(item.entry)]
    if body_bytes_max is not None and len(item.entry.body) > body_bytes_max:
        fields = [b"{" + _entry_fields(item.entry)[: -len(b',"body":') - len(item.entry.body)]]
    if item.entry.is_emptied:
        fields.append(b'"deleted":true')
    if item.edited is not None:
        body = item.edited.body
        shown = b"" if body_bytes_max is not None and len(body) > body_bytes_max else b',"body":' + body
        fields.append(f'"edited":{{"seq":{item.edited.seq},"time_ms":{item.edited.time_ms}'.encode() + shown + b"}")
    if item.reactions:
        fields.append(b'"reactions":{' + b",".join(_reactions(item.reactions)) + b"}")
    return b",".join(fields) + b"}"


def _reactions(reactions: Sequence[Reaction]) -> list[bytes]:
    """As many as there is room for in the envelope: the reader's own and the most frequent ones; shown in the order given.

    Everybody may add emojis to a text without end, and no frame may grow with them.
    """
    items = [
        encode(each.emoji) + f':{{"count":{each.count},"mine":{str(each.mine).lower()}}}'.encode() for each in reactions
    ]
    if sum(map(len, items)) + len(items) <= REACTIONS_BYTES_MAX:
        return items
    kept: set[int] = set()
    room = REACTIONS_BYTES_MAX
    for index in sorted(range(len(items)), key=lambda index: (not reactions[index].mine, -reactions[index].count)):
        room -= len(items[index]) + 1
        if room < 0:
            break
        kept.add(index)
    return [items[index] for index in sorted(kept)]


def page_json(page: Page) -> bytes:
    """A page as REST answers it: the `page` frame without `type` and `id`."""
    return b"{" + _page_fields(page, map(page_entry_json, page.entries), more=page.more, skip=page.skip) + b"}"


def page_frame_json(page: Page, frame_id: FrameId, *, newest_first: bool, bytes_max: int) -> bytes:
    """The `page` frame, cut short (`more`: true) where it would pass `bytes_max`.

    `newest_first`: the page reaches back from `before`, so that it is cut at its old end.
    """
    items = [page_entry_json(item) for item in page.entries]
    size = ENVELOPE_BYTES + 48 * len(page.skip)
    kept = 0
    for item in reversed(items) if newest_first else items:
        size += len(item) + 1
        if size > bytes_max and kept:
            break
        kept += 1
    more, skip = page.more, page.skip
    if kept < len(items):
        more = True
        if newest_first:
            items = items[-kept:]
            lowest = page.entries[-kept].entry.seq
            skip = tuple(each for each in skip if each[0] > lowest)
        else:
            items = items[:kept]
            highest = page.entries[kept - 1].entry.seq
            skip = tuple(each for each in skip if each[1] < highest)
    return b'{"type":"page","id":' + encode(frame_id) + b"," + _page_fields(page, items, more=more, skip=skip) + b"}"


def _page_fields(page: Page, items: Iterable[bytes], *, more: bool, skip: Sequence[tuple[int, int]]) -> bytes:
    return (
        f'"conversation":"{page.conversation}","first":{page.first},"head":{page.head},"more":{str(more).lower()},'.encode()
        + b'"skip":'
        + encode(skip)
        + b',"messages":['
        + b",".join(items)
        + b"]"
    )


def listed_json(listed: Listed) -> bytes:
    """A conversation of the `conversations` frame and of `GET /conversations`."""
    fields: dict[str, Any] = {
        "conversation": listed.conversation,
        "first": listed.first,
        "head": listed.head,
        "delivered": listed.delivered,
        "read": listed.read,
        "unread": listed.unread,
        "title": listed.title,
        "role": listed.role,
        "members": listed.members,
        "muted": listed.muted,
    }
    if listed.peer is not None:
        peer = listed.peer
        fields["peer"] = {"user": peer.user, "name": peer.name, "delivered": peer.delivered, "read": peer.read}
    if listed.last is not None:
        fields["last"] = Raw(page_entry_json(listed.last, body_bytes_max=LAST_BODY_BYTES_MAX))
    return encode(fields)


def listing_frames_json(items: Sequence[bytes], bytes_max: int) -> list[bytes]:
    """`conversations` frames for encoded conversations, as many as their sizes ask for; at least one."""
    return _packed(b'{"type":"conversations","conversations":[', items, bytes_max) or [
        b'{"type":"conversations","conversations":[]}'
    ]


def behind_frames_json(heads: Iterable[tuple[ConversationId, int]], bytes_max: int) -> list[bytes]:
    """`behind` frames for (conversation, head)s."""
    return _packed(b'{"type":"behind","conversations":[', list(map(head_json, heads)), bytes_max)


def _packed(start: bytes, items: Sequence[bytes], bytes_max: int) -> list[bytes]:
    frames: list[bytes] = []
    part: list[bytes] = []
    size = ENVELOPE_BYTES
    for item in items:
        if part and size + len(item) + 1 > bytes_max:
            frames.append(start + b",".join(part) + b"]}")
            part, size = [], ENVELOPE_BYTES
        part.append(item)
        size += len(item) + 1
    if part:
        frames.append(start + b",".join(part) + b"]}")
    return frames


def head_json(head: tuple[ConversationId, int]) -> bytes:
    """One of `behind` and of `synced.pending`."""
    return f'{{"conversation":"{head[0]}","head":{head[1]}}}'.encode()


def synced_json(since: str, pending: Sequence[bytes]) -> bytes:
    """The end of a hello's answer; `pending` is encoded by `head_json`."""
    return b'{"type":"synced","since":' + encode(since) + b',"pending":[' + b",".join(pending) + b"]}"


def ack_json(sent: Sent, frame_id: FrameId) -> bytes:
    """The `ack` of a send."""
    shown = b"" if frame_id is None else b'"id":' + encode(frame_id) + b","
    return b'{"type":"ack",' + shown + sent_fields(sent) + b"}"


def sent_fields(sent: Sent) -> bytes:
    """What an ack says, without braces: REST answers a POST with the same."""
    return (
        f'"client_id":"{sent.client_id}","conversation":"{sent.conversation}","seq":{sent.seq},'
        f'"time_ms":{sent.time_ms},"duplicate":{str(sent.duplicate).lower()}'
    ).encode()


def error_json(error: TrimaranError, frame_id: FrameId = None, client_id: str | None = None) -> bytes:
    """The `error` frame."""
    fields: dict[str, Any] = {"type": "error"}
    if frame_id is not None:
        fields["id"] = frame_id
    if client_id is not None:
        fields["client_id"] = client_id
    fields["code"] = error.code
    fields["message"] = error.message
    if error.field is not None:
        fields["field"] = error.field
    if error.retry_after_s is not None:
        fields["retry_after_s"] = error.retry_after_s
    return encode(fields)


def typing_json(conversation: ConversationId, user: UserId, *, is_on: bool) -> bytes:
    """The `typing` frame."""
    return f'{{"type":"typing","conversation":"{conversation}","user":"{user}","on":{str(is_on).lower()}}}'.encode()


def presence_json(user: UserId, state: str, last_seen_ms: int) -> bytes:
    """The `presence` frame; `last_seen_ms` 0 is left out."""
    seen = f',"last_seen_ms":{last_seen_ms}' if last_seen_ms else ""
    return f'{{"type":"presence","user":"{user}","state":"{state}"{seen}}}'.encode()


def marks_json(conversation: ConversationId, marks: Iterable[tuple[UserId, int, int]]) -> bytes:
    """The `marks` frame; each mark is (user, delivered, read), a delivered of 0 is left out (groups)."""
    shown = [
        {"user": user, "delivered": delivered, "read": read} if delivered else {"user": user, "read": read}
        for user, delivered, read in marks
    ]
    return encode({"type": "marks", "conversation": conversation, "marks": shown})
