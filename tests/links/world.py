"""Links over services that do as they are told."""

from collections.abc import Callable, Sequence
from typing import Any

import trio
import trio.testing

from core.base.clock import ManualClock
from core.base.errors import Unavailable
from core.base.ids import ConversationId, UserId, direct_conversation
from core.base.metrics import Metrics
from core.base.records import Append, Appended, Claimed, GroupState, Person
from core.links.link import Link
from core.links.logs import LogLink
from core.links.people import PeopleLink
from core.links.relay import RelayLink
from core.router.inbox import Inbox

ANN = UserId("00000001-0000-7000-8000-000000000000")
BOB = UserId("00000002-0000-7000-8000-000000000000")
TALK = direct_conversation(ANN, BOB)
GROUP = ConversationId("g:00000009-0000-7000-8000-000000000000")


class Service:
    """Any service: notes what it was asked; answers, raises or hangs."""

    def __init__(self, name: str, asked: list[tuple[Any, ...]]) -> None:
        self._name = name
        self._asked = asked
        self.does: Callable[..., Any] = lambda *_: None
        self.raises: Exception | None = None
        self.hangs = False

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any) -> Any:
            self._asked.append((self._name, method, *arguments))
            await trio.lowlevel.checkpoint()
            if self.hangs:
                await trio.sleep_forever()
            if self.raises is not None:
                raise self.raises
            return self.does(method, *arguments)

        return call


class Links:
    """The three links, their services, and an inbox that is emptied by hand."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.message = Service("message", self.asked)
        self.group_message = Service("group_message", self.asked)
        self.group = Service("group", self.asked)
        self.user = Service("user", self.asked)
        self.relay_service = Service("relay", self.asked)
        self.last_seen = Service("last_seen", self.asked)
        self.inbox = Inbox()
        self.metrics = Metrics()
        link = Link(nursery, self.inbox)
        self.logs = LogLink(
            link,
            message=self.message,
            group_message=self.group_message,
            group=self.group,
            user=self.user,
            clock=ManualClock(),
            metrics=self.metrics,
        )
        self.relay = RelayLink(link, relay=self.relay_service, group=self.group, user=self.user)
        self.people = PeopleLink(link, last_seen=self.last_seen)
        self.answers: list[Any] = []

    async def answered(self) -> list[Any]:
        """All answers that come, once the tasks have run as far as they can."""
        await trio.testing.wait_all_tasks_blocked()
        for call in self.inbox.take(100):
            call()
        taken = list(self.answers)
        self.answers.clear()
        return taken


def append(conversation: ConversationId, head: int = 0) -> Append:
    """An append of one entry."""
    return Append(conversation, 1, head, ())


def appended(_method: str, batch: Sequence[Append]) -> list[Appended]:
    """What a store says that takes everything."""
    return [Appended(item.conversation, item.head + 1) for item in batch]


AWAY = Unavailable("away")
CLAIMED = Claimed(TALK, 1, 0, 0, ())
STATE = GroupState(GROUP, 3, "a group", "shared", {ANN: "owner"})
PERSON = Person(ANN, "Ann", "d", is_active=True)  # type: ignore[arg-type]
