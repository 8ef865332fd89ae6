"""How a plain request of the router becomes an awaited call, and its answer a call in the router's inbox.

A task lives while the call is awaited, one per request; the tables of the router bound how many there are, and a deadline how long.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

import trio

from core.base import logs
from core.base.errors import DeadlineExceeded, TrimaranError
from core.base.limits import REQUEST_DEADLINE_S
from core.router.inbox import Inbox

T = TypeVar("T")

_log: Final = logs.logger("links")


class Link:
    """Runs calls in a nursery; `nursery` is the one that the process holds for its links."""

    def __init__(self, nursery: trio.Nursery, inbox: Inbox) -> None:
        self._nursery: Final = nursery
        self._inbox: Final = inbox

    def ask(self, call: Callable[[], Awaitable[T]], then: Callable[[T | TrimaranError], None]) -> None:
        """Await `call()` in a task; `then` gets what it returns or the TrimaranError that it raises, in a turn of the router."""
        self._nursery.start_soon(self._ask, call, then)

    async def _ask(self, call: Callable[[], Awaitable[T]], then: Callable[[T | TrimaranError], None]) -> None:
        answer: T | TrimaranError = DeadlineExceeded("a service did not answer in time")
        with trio.move_on_after(REQUEST_DEADLINE_S):
            try:
                answer = await call()
            except TrimaranError as error:
                answer = error
            except Exception as error:  # noqa: BLE001  (the top of a task: whoever asked is answered, and the process lives)
                _log.error("link_failed", exc_info=error)
                answer = TrimaranError("internal", "something of ours failed")
        self._inbox.put_answer(partial(then, answer))
