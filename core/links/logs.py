"""The router's `Logs` over the message and group_message services, and what loading a conversation takes besides."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from core.base.clock import Clock
from core.base.errors import TrimaranError
from core.base.ids import ClientId, ConversationId, UserId, direct_users, group_of, is_group
from core.base.metrics import Metrics
from core.base.records import Append, Entry, Loaded, Outcome, Page, PageQuery, Role, Unknown
from core.links.link import Link
from core.links.services import GroupService, LogService, UserService
from core.router.ports import Then


class LogLink:
    """Fulfils `core.router.ports.Logs`."""

    def __init__(
        self,
        link: Link,
        *,
        message: LogService,
        group_message: LogService,
        group: GroupService,
        user: UserService,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._link: Final = link
        self._message: Final = message
        self._group_message: Final = group_message
        self._group: Final = group
        self._user: Final = user
        self._clock: Final = clock
        self._metrics: Final = metrics

    def _service(self, conversation: ConversationId) -> LogService:
        return self._group_message if is_group(conversation) else self._message

    def append(self, batch: Sequence[Append], then: Callable[[list[Outcome]], None]) -> None:
        """One call to each of the two services that the batch concerns. What fails or takes too long is `Unknown`."""
        for service, is_for in ((self._message, False), (self._group_message, True)):
            part = [item for item in batch if is_group(item.conversation) is is_for]
            if part:
                call = partial(service.append, part)
                self._link.ask(call, partial(self._on_appended, part, then, self._clock.monotonic_s()))

    def _on_appended(
        self,
        batch: Sequence[Append],
        then: Callable[[list[Outcome]], None],
        since_s: float,
        answer: list[Outcome] | TrimaranError,
    ) -> None:
        self._metrics.append_seconds.observe(self._clock.monotonic_s() - since_s)
        if isinstance(answer, TrimaranError):
            answer = [Unknown(item.conversation, answer.message) for item in batch]
        then(answer)

    def load(self, conversation: ConversationId, epoch: int, then: Then[Loaded]) -> None:
        """Claim, and gather members, title, history and blocks."""
        self._link.ask(partial(self._load, conversation, epoch), then)

    async def _load(self, conversation: ConversationId, epoch: int) -> Loaded:
        if is_group(conversation):
            claimed = await self._group_message.claim(conversation, epoch)
            # After the claim: no lower epoch can change the group any more, and the projection reads the log up to here.
            state = await self._group.state(group_of(conversation))
            if state is None:
                return Loaded(claimed, {})
            return Loaded(claimed, state.members, state.name, state.history)
        one, other = direct_users(conversation)
        blocked_by = await self._user.pair(one, other)  # first: nothing is claimed for users that do not exist
        members: dict[UserId, Role] = {one: "member", other: "member"}
        return Loaded(await self._message.claim(conversation, epoch), members, blocked_by=blocked_by)

    def find(self, conversation: ConversationId, sender: UserId, client_id: ClientId, then: Then[Entry | None]) -> None:
        """Look a send up durably."""
        self._link.ask(partial(self._service(conversation).find, conversation, sender, client_id), then)

    def entry(self, conversation: ConversationId, seq: int, then: Then[Entry | None]) -> None:
        """Look one entry up."""
        self._link.ask(partial(self._service(conversation).entry, conversation, seq), then)

    def read(self, conversation: ConversationId, after: int, up_to: int, limit: int, then: Then[list[Entry]]) -> None:
        """Raw entries."""
        self._link.ask(partial(self._service(conversation).read, conversation, after, up_to, limit), then)

    def page(self, query: PageQuery, then: Then[Page]) -> None:
        """A page as of now."""
        self._link.ask(partial(self._service(query.conversation).page, query), then)
