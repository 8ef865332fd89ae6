"""`Timeline`: the texts of one conversation as a reader sees them, from live entries and pages in any mixture. Pure.

Optional: a bot that only answers needs none. The rule it keeps is the protocol's: a text of a page already contains
what the entries up to the page's head did to it, so an edit, deletion or reaction changes a text only if its seq is
above its `as_of`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from trimaran_client.frames import Edit, Message, Page, Reaction
from trimaran_client.limits import TIMELINE_TEXTS_MAX


class Timeline:
    """The newest texts, by seq; feed it every entry of the conversation, in order, and any page."""

    def __init__(self, user: str, *, texts_max: int = TIMELINE_TEXTS_MAX) -> None:
        self._user = user
        self._max = texts_max
        self._texts: dict[int, Message] = {}
        # (ref, emoji, user) -> whether that user reacts, as far as entries told: a repetition must not count twice.
        self._reactions: dict[tuple[int, str, str], bool] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[Message]:
        """The texts by rising seq, as they are shown now."""
        return (self._texts[seq] for seq in sorted(self._texts))

    def __getitem__(self, seq: int) -> Message:
        return self._texts[seq]

    def on_page(self, page: Page) -> None:
        """A page, of whatever range."""
        for message in page.messages:
            self.on_entry(message if message.as_of else msgspec.structs.replace(message, as_of=page.head))

    def on_entry(self, entry: Message) -> None:
        """An entry as `events` or a page gives it."""
        match entry.kind:
            case "text":
                self._on_text(entry)
            case "edit" | "delete" | "reaction":
                shown = self._texts.get(entry.ref or 0)
                if shown is not None and entry.seq > shown.as_of:
                    self._texts[shown.seq] = self._changed(shown, entry)
            case _:
                pass

    def _on_text(self, text: Message) -> None:
        shown = self._texts.get(text.seq)
        if shown is not None and shown.as_of >= text.as_of:
            return
        self._texts[text.seq] = text
        if shown is not None and self._reactions:
            # The page counts anew; who reacts is not in it.
            self._reactions = {key: on for key, on in self._reactions.items() if key[0] != text.seq}
        if len(self._texts) > self._max:
            oldest = min(self._texts)
            del self._texts[oldest]
            self._reactions = {key: on for key, on in self._reactions.items() if key[0] != oldest}

    def _changed(self, text: Message, entry: Message) -> Message:
        body = entry.body or {}
        if entry.kind == "delete":
            return msgspec.structs.replace(text, deleted=True, body={}, edited=None, reactions=None, as_of=entry.seq)
        if text.deleted:
            return text
        if entry.kind == "edit":
            edited = Edit(seq=entry.seq, body=body, time_ms=entry.time_ms)
            return msgspec.structs.replace(text, edited=edited, as_of=entry.seq)
        return msgspec.structs.replace(text, reactions=self._reacted(text, entry, body), as_of=entry.seq)

    def _reacted(self, text: Message, entry: Message, body: dict[str, Any]) -> dict[str, Reaction]:
        reactions = dict(text.reactions or {})
        emoji, on, sender = body.get("emoji"), body.get("on", True) is True, entry.sender or ""
        if not isinstance(emoji, str):
            return reactions
        old = reactions.get(emoji, Reaction())
        # Of whom nothing is known, the entry is taken to change something; of oneself, the count says it.
        was_on = old.mine if sender == self._user else self._reactions.get((text.seq, emoji, sender), not on)
        self._reactions[text.seq, emoji, sender] = on
        count = old.count + (on - was_on)
        if count <= 0:
            reactions.pop(emoji, None)
        else:
            reactions[emoji] = Reaction(count=count, mine=on if sender == self._user else old.mine)
        return reactions
