"""The router's `People` over the last_seen service."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from core.base.errors import TrimaranError
from core.base.ids import UserId
from core.base.records import Presence, Watched
from core.links.link import Link
from core.links.services import LastSeenService
from core.router.ports import Then


class PeopleLink:
    """Fulfils `core.router.ports.People`."""

    def __init__(self, link: Link, *, last_seen: LastSeenService) -> None:
        self._link: Final = link
        self._last_seen: Final = last_seen

    def watched(self, watcher: UserId, users: Sequence[UserId], then: Then[list[Watched]]) -> None:
        """What the watcher may know of each."""
        self._link.ask(partial(self._last_seen.watched, watcher, users), then)

    def report(self, changes: Sequence[Presence]) -> None:
        """Tell last_seen. If that fails the next change says it again; presence is a hint."""
        self._link.ask(partial(self._last_seen.report, changes), _ignore)


def _ignore(_: TrimaranError | None) -> None:
    """Nobody waits for it."""
