"""What reaches the router from elsewhere than a socket: answers of services, records of peers, REST and gRPC sends, timers.

Each is a call, put in by plain code of the same Trio run and made by the reactor in its next turn, in order. Requests are refused when the
inbox is full; answers to requests of our own never are, because the tables that wait for them are bounded already.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from core.base.errors import Overloaded
from core.base.limits import INBOX_MAX

Call = Callable[[], None]


class InboxStatistics(NamedTuple):
    """How full an inbox is, and how often it was too full."""

    waiting: int
    refused: int


class Inbox:
    """A bounded queue of calls. `on_wake` is set by whoever takes from it and called when a call comes into the empty inbox."""

    __slots__ = ("_calls", "_calls_max", "_refused", "on_wake")

    def __init__(self, calls_max: int = INBOX_MAX) -> None:
        self._calls: deque[Call] = deque()
        self._calls_max = calls_max
        self._refused = 0
        self.on_wake: Callable[[], None] | None = None

    def put(self, call: Call) -> None:
        """Have `call` made in the next turn.

        Raises: Overloaded if the inbox is full.
        """
        if len(self._calls) >= self._calls_max:
            self._refused += 1
            raise Overloaded("the router's inbox is full")
        self.put_answer(call)

    def put_answer(self, call: Call) -> None:
        """As `put`, for the answer to a request of the router's own: never refused."""
        self._calls.append(call)
        if len(self._calls) == 1 and self.on_wake is not None:
            self.on_wake()

    def take(self, calls_max: int) -> list[Call]:
        """Remove and return the oldest calls, `calls_max` at most."""
        calls = self._calls
        if len(calls) <= calls_max:
            taken = list(calls)
            calls.clear()
            return taken
        return [calls.popleft() for _ in range(calls_max)]

    def __len__(self) -> int:
        return len(self._calls)

    def statistics(self) -> InboxStatistics:
        """How full it is now, and how many calls it refused so far."""
        return InboxStatistics(len(self._calls), self._refused)
