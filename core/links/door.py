"""The way in for services: what reaches the router from elsewhere than a socket, as awaitable calls that a turn of the router makes."""

from functools import partial
from typing import Final, Generic, TypeVar

import trio

from core.base.errors import DeadlineExceeded, TrimaranError
from core.base.ids import ConversationId, DeviceId, UserId
from core.base.limits import REQUEST_DEADLINE_S
from core.base.records import Send, Sent
from core.router.inbox import Inbox
from core.router.router import Router

T = TypeVar("T")


class _Answer(Generic[T]):
    """One answer that a task waits for; also the router's `Reply` of a send."""

    __slots__ = ("_event", "_value")

    def __init__(self) -> None:
        self._event: Final = trio.Event()
        self._value: T | TrimaranError | None = None

    def sent(self, sent: T) -> None:
        self._value = sent
        self._event.set()

    def refused(self, error: TrimaranError) -> None:
        self._value = error
        self._event.set()

    async def wait(self) -> T:
        with trio.move_on_after(REQUEST_DEADLINE_S + 1):
            await self._event.wait()
        if isinstance(self._value, TrimaranError):
            raise self._value
        if self._value is None:
            raise DeadlineExceeded("the router did not answer in time")
        return self._value


class Door:
    """The router's door. What is awaited returns once the router has done it; the events are plain calls, done in a turn soon after.

    Raises: Overloaded where the router's inbox is full, DeadlineExceeded where the answer does not come: the outcome is then unknown.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox: Final = inbox
        self._to: Router | None = None

    def connect(self, router: Router) -> None:
        """Services are built before the router, since it needs them: from here on the door leads somewhere."""
        self._to = router

    @property
    def _router(self) -> Router:
        assert self._to is not None, "the door is used before the router runs"
        return self._to

    async def submit(self, send: Send) -> Sent:
        """Have an entry appended. Raises: Rejected where the owner refuses it."""
        answer = _Answer[Sent]()
        self._inbox.put(partial(_submit, self._router, send, answer))
        return await answer.wait()

    async def mark(self, user: UserId, device: DeviceId, conversation: ConversationId, delivered: int) -> None:
        """Move a device's cursor as its own `mark` would; the caller has checked the bounds. Durable on return."""
        answer = _Answer[bool]()
        self._inbox.put(partial(self._router.marks.mark_for, user, device, conversation, delivered, answer))
        await answer.wait()

    async def relist(self, user: UserId, conversation: ConversationId) -> None:
        """How the user lists a conversation has changed (muted): tell its sessions."""
        self._inbox.put(partial(self._router.relist, user, conversation))

    # Events are not refused: what they are about is in the store already, and the router must not go on as before.

    def on_revoked(self, user: UserId, device: DeviceId) -> None:
        """A device was signed out: its sockets close."""
        self._inbox.put_answer(partial(self._router.revoke, user, device))

    def on_block_changed(self, user: UserId, other: UserId) -> None:
        """`user` has blocked or unblocked `other`: it holds for whatever is appended next."""
        self._inbox.put_answer(partial(self._router.block_changed, user, other))

    def on_privacy_changed(self, user: UserId) -> None:
        """What others may know of the user has changed."""
        self._inbox.put_answer(partial(self._router.privacy_changed, user))


def _submit(router: Router, send: Send, answer: _Answer[Sent]) -> None:
    try:
        router.submit(send, answer)
    except TrimaranError as error:
        answer.refused(error)
