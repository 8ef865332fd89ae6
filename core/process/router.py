"""A router process, or the router's part of the embedded system: built from services, run in one nursery tree, drained on request.

core names no sidecar: the services are given as what `core/links/services.py` says, and the handler of all other HTTP as a plain call.
"""

import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import trio

from core.base.clock import Clock
from core.base.ids import IdSource
from core.base.limits import Limits
from core.base.metrics import Metrics
from core.links.link import Link
from core.links.logs import LogLink
from core.links.people import PeopleLink
from core.links.relay import RelayLink
from core.links.services import GroupService, LastSeenService, LogService, RelayService, UserService
from core.reactor.application import HandOver
from core.reactor.reactor import Reactor
from core.router.inbox import Inbox
from core.router.ports import Tokens
from core.router.router import Router

WEBSOCKET_PATHS: Final = frozenset({"/chat/ws"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the router needs of the services: objects in the same process, or rpc clients."""

    message: LogService
    group_message: LogService
    relay: RelayService
    group: GroupService
    user: UserService
    last_seen: LastSeenService


class RouterProcess:
    """The router with its links and its reactor. Build it inside the nursery that its links are to use, then `run`."""

    def __init__(
        self,
        nursery: trio.Nursery,
        listeners: Sequence[socket.socket],
        services: Services,
        hand_over: HandOver,
        *,
        inbox: Inbox,
        clock: Clock,
        ids: IdSource,
        limits: Limits,
        metrics: Metrics,
        node: str,
        epoch: int,
        tokens: Tokens,
        allowed_origins: frozenset[str],
    ) -> None:
        link = Link(nursery, inbox)
        self._inbox: Final = inbox
        self.router: Final = Router(
            clock=clock,
            ids=ids,
            limits=limits,
            node=node,
            epoch=epoch,
            tokens=tokens,
            logs=LogLink(
                link,
                message=services.message,
                group_message=services.group_message,
                group=services.group,
                user=services.user,
                clock=clock,
                metrics=metrics,
            ),
            relay=RelayLink(link, relay=services.relay, group=services.group, user=services.user),
            people=PeopleLink(link, last_seen=services.last_seen),
            metrics=metrics,
            allowed_origins=allowed_origins,
        )
        self.reactor: Final = Reactor(
            listeners,
            self.router,
            hand_over,
            clock=clock,
            limits=limits,
            inbox=inbox,
            websocket_paths=WEBSOCKET_PATHS,
        )

    @property
    def inbox_depth(self) -> int:
        """Calls that wait for a turn."""
        return len(self._inbox)

    def statistics(self) -> dict[str, object]:
        """What the router and its reactor hold and have done."""
        return {
            "router": self.router.statistics(),
            "reactor": asdict(self.reactor.statistics()),
            "inbox": len(self._inbox),
        }
