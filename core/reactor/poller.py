"""The one place where the reactor and Trio meet, and the only importer of `trio.lowlevel` here.

The reactor has an epoll descriptor of its own, and Trio watches that one descriptor: so a thousand ready sockets cost one task switch,
where a task per socket would cost a thousand. An eventfd in the same set ends a wait from the outside.
"""

import os
import select
from typing import Final

import trio

from core.base.limits import EVENTS_PER_TURN

READ: Final = select.EPOLLIN
WRITE: Final = select.EPOLLOUT

protected = trio.lowlevel.enable_ki_protection
"""Ctrl-C is not raised within a function so marked: half a turn must not happen."""


class Poller:
    """Which sockets are ready. Level-triggered: what is not taken now is told again."""

    __slots__ = ("_epoll", "_event", "_is_waiting", "modify", "register", "unregister")

    def __init__(self) -> None:
        self._epoll: Final = select.epoll()
        self._event: Final = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._is_waiting = False
        self.register: Final = self._epoll.register
        self.modify: Final = self._epoll.modify
        self.unregister: Final = self._epoll.unregister
        self.register(self._event, READ)

    async def wait(self, is_busy: bool) -> list[tuple[int, int]]:
        """The ready descriptors and their masks; waits for one, or for `wake`, unless there is other work (`is_busy`).

        Always a checkpoint: between two turns everything else gets its share, and a cancellation is seen.
        """
        events = self._epoll.poll(0, EVENTS_PER_TURN)
        if events or is_busy:
            await trio.lowlevel.checkpoint()
            return events
        self._is_waiting = True
        try:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
        finally:
            self._is_waiting = False
        return self._epoll.poll(0, EVENTS_PER_TURN)

    def wake(self) -> None:
        """End the present wait; outside of a wait there is nothing to end, since the reactor looks before it waits."""
        if self._is_waiting:
            os.eventfd_write(self._event, 1)

    def is_wake(self, descriptor: int) -> bool:
        """Whether an event is but a wake-up call, which is thereby taken."""
        if descriptor != self._event:
            return False
        os.eventfd_read(self._event)
        return True

    def close(self) -> None:
        """Give the two descriptors back."""
        self._epoll.close()
        os.close(self._event)
