"""Who was a member of a conversation from which seq to which: read off the `member` entries of its log.

Two questions have two answers. *May see*: a member from its joining entry to its removal, both included; where the
group shares its history, from the first entry on. *Must get*: like may see, but only within one membership, for one
who was removed and came back is not owed what an earlier membership left unread.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from core.history.records import Entry


class Window(NamedTuple):
    """One membership: the seq of the entry that added the user (0: there from the start), and of its removal."""

    first: int
    last: int | None

    def contains(self, seq: int) -> bool:
        """Whether the member is told of this seq."""
        return self.first <= seq and (self.last is None or seq <= self.last)


class Membership:
    """The windows of every user who ever was a member."""

    def __init__(self, windows: Mapping[str, list[Window]], history: Literal["joined", "shared"]) -> None:
        self._windows = windows
        self._history = history

    def windows(self, user: str) -> list[Window]:
        """The memberships of a user, oldest first."""
        return self._windows.get(user, [])

    def was_member(self, user: str, seq: int) -> bool:
        """Whether this user was a member at this seq; it may send there, for what adds and removes it are no sends."""
        return any(window.contains(seq) for window in self.windows(user))

    def may_see(self, user: str, seq: int) -> bool:
        """Whether this user may ever be shown this seq."""
        windows = self.windows(user)
        if self._history == "shared" and windows:
            last = windows[-1].last
            return last is None or seq <= last
        return self.was_member(user, seq)

    def last_visible(self, user: str) -> int | None:
        """The removal after which the user sees nothing more; None for a member of today, 0 for a stranger."""
        windows = self.windows(user)
        return windows[-1].last if windows else 0

    def owed(self, user: str, after: int, before: int) -> tuple[int, int] | None:
        """The seqs strictly between `after` and `before` that one who applied both must have been given in between.

        Returns: the first and last of them, or None.
        """
        for window in self.windows(user):
            if window.contains(before):
                first = max(after + 1, window.first, 1)
                return (first, before - 1) if first < before else None
        return None

    def present(self) -> Iterable[tuple[str, int]]:
        """The members of today, each with the seq that its membership began at."""
        return ((user, windows[-1].first) for user, windows in self._windows.items() if windows[-1].last is None)


def membership_of(
    conversation: str, entries: Iterable[Entry], history: Literal["joined", "shared"] = "joined"
) -> Membership:
    """The memberships that a whole log tells of, `entries` by rising seq. A direct conversation has its two users."""
    if conversation.startswith("d:"):
        return Membership({user: [Window(0, None)] for user in conversation.split(":")[1:]}, "shared")
    windows: dict[str, list[Window]] = {}
    for entry in entries:
        if entry.kind != "member":
            continue
        for user in entry.added:
            mine = windows.setdefault(user, [])
            if not mine or mine[-1].last is not None:
                mine.append(Window(entry.seq, None))
        for user in entry.removed:
            mine = windows.get(user, [])
            if mine and mine[-1].last is None:
                mine[-1] = Window(mine[-1].first, entry.seq)
    return Membership(windows, history)
