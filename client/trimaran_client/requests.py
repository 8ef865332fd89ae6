"""What was asked and not answered yet: request ids, their deadlines, the pages that the application waits for. Pure."""

from dataclasses import dataclass

from trimaran_client.commands import Pull
from trimaran_client.due import DueSet
from trimaran_client.limits import ANSWER_S


@dataclass(frozen=True, slots=True)
class SendAsked:
    """A message is in flight."""

    client_id: str


@dataclass(frozen=True, slots=True)
class CatchUpAsked:
    """The client itself fills a gap."""

    conversation: str


@dataclass(frozen=True, slots=True)
class PageAsked:
    """The application wants a page; `ticket` names its request through every retry."""

    ticket: int


@dataclass(frozen=True, slots=True)
class RenewAsked:
    """A new token was shown."""


Asked = SendAsked | CatchUpAsked | PageAsked | RenewAsked


class Requests:
    """Gives every request an id that is never used again, and notices those that stay without an answer."""

    def __init__(self) -> None:
        self._last_id = 0
        self._asked: dict[int, Asked] = {}
        self._deadlines: DueSet[int] = DueSet()

    def __len__(self) -> int:
        return len(self._asked)

    def new_id(self) -> int:
        """An id for a request, or a ticket."""
        self._last_id += 1
        return self._last_id

    def ask(self, asked: Asked, now_s: float, request: int | None = None) -> int:
        """A request goes out; returns its id, which is new unless one is given."""
        request = request or self.new_id()
        self._asked[request] = asked
        self._deadlines.put(request, now_s + ANSWER_S)
        return request

    def on_answer(self, request: int | str | None) -> Asked | None:
        """What this answers; None for an answer that nobody waits for."""
        if not isinstance(request, int):
            return None
        self._deadlines.discard(request)
        return self._asked.pop(request, None)

    def next_s(self) -> float:
        """When the patience with the oldest request ends."""
        return self._deadlines.next_s()

    def pop_expired(self, now_s: float) -> Asked | None:
        """A request without an answer; one that comes later is answered to nobody."""
        request = self._deadlines.pop(now_s)
        return None if request is None else self._asked.pop(request)

    def postpone(self, now_s: float) -> None:
        """The answers could not be read until now: patience begins anew."""
        for request in self._asked:
            self._deadlines.put(request, now_s + ANSWER_S)

    def take_all(self) -> list[Asked]:
        """The connection is gone, and with it every answer."""
        asked = list(self._asked.values())
        self._asked.clear()
        self._deadlines.clear()
        return asked


@dataclass(frozen=True, slots=True)
class PageWanted:
    """A page that the application asks for."""

    conversation: str
    after: int | None
    before: int | None
    limit: int | None

    def command(self, request: int) -> Pull:
        return Pull(id=request, conversation=self.conversation, after=self.after, before=self.before, limit=self.limit)


class PagesWanted:
    """The application's pages: they are asked for again after a lost connection or a passing error."""

    def __init__(self) -> None:
        self._wanted: dict[int, PageWanted] = {}
        self._due: DueSet[int] = DueSet()

    def __len__(self) -> int:
        return len(self._wanted)

    def put(self, ticket: int, wanted: PageWanted) -> None:
        """A page is wanted at once."""
        self._wanted[ticket] = wanted
        self._due.put(ticket, float("-inf"))

    def next_s(self) -> float:
        return self._due.next_s()

    def pop(self, now_s: float) -> tuple[int, PageWanted] | None:
        """The next page to ask for; it stays wanted until `remove`."""
        ticket = self._due.pop(now_s)
        return None if ticket is None else (ticket, self._wanted[ticket])

    def again(self, ticket: int, due_s: float) -> None:
        """No answer yet: once more at that time, if it is still wanted."""
        if ticket in self._wanted:
            self._due.put(ticket, due_s)

    def remove(self, ticket: int) -> PageWanted | None:
        """It came, was refused, or its reader went away. None if it was not wanted any more."""
        self._due.discard(ticket)
        return self._wanted.pop(ticket, None)
