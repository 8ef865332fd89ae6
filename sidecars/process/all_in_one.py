"""The embedded system: one router and all services in one process, one Trio run, on one data directory.

The wiring is the whole content of this file: stores into services, services into the router, the router's door and the HTTP application
around it. Everything starts from the data directory and ends with it; a signal drains the router, then HTTP, then the stores.
"""

import signal
import socket
from dataclasses import dataclass

import trio
from quart import Blueprint

from core.base import logs
from core.base.clock import Clock, SystemClock
from core.base.config import Config
from core.base.errors import Close
from core.base.ids import SLOTS, IdSource
from core.base.key_file import load_or_make_key
from core.base.limits import PASSWORD_THREADS, PASSWORDS_WAITING_MAX
from core.base.metrics import Metrics, registry_of
from core.base.tokens import TokenSigner, TokenVerifier
from core.bridge.pool import Pool
from core.links.door import Door
from core.process.router import RouterProcess, Services
from core.reactor.listener import listen
from core.router.inbox import Inbox
from sidecars.group import routes as group_routes
from sidecars.group.requests import UserGroups
from sidecars.group.service import GroupService
from sidecars.group_message import routes as group_message_routes
from sidecars.group_message.service import GroupMessageService
from sidecars.last_seen import routes as last_seen_routes
from sidecars.last_seen.service import LastSeenService
from sidecars.message import routes as message_routes
from sidecars.message.requests import UserMessages
from sidecars.message.service import MessageService
from sidecars.ports.http import Edge
from sidecars.process import static
from sidecars.process.guard import HttpDoor
from sidecars.process.http import create_app
from sidecars.relay import routes as relay_routes
from sidecars.relay.requests import UserRelay
from sidecars.relay.service import RelayService
from sidecars.stores.embedded.data_dir import DataDir, open_data_dir
from sidecars.stores.embedded.database import Database
from sidecars.stores.embedded.groups import EmbeddedGroupStore
from sidecars.stores.embedded.last_seen import EmbeddedLastSeenStore
from sidecars.stores.embedded.log import EmbeddedLog
from sidecars.stores.embedded.relay import EmbeddedRelayStore
from sidecars.stores.embedded.users import EmbeddedUserStore
from sidecars.user import routes as user_routes
from sidecars.user.passwords import Passwords
from sidecars.user.service import UserService

_log = logs.logger("process")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The services, and what users reach of them by REST."""

    user: UserService
    group: GroupService
    relay: RelayService
    message: MessageService
    group_message: GroupMessageService
    last_seen: LastSeenService
    user_groups: UserGroups
    user_relay: UserRelay
    user_messages: UserMessages
    user_group_messages: UserMessages

    def for_router(self) -> Services:
        """The services as the router knows them."""
        return Services(
            message=self.message,
            group_message=self.group_message,
            relay=self.relay,
            group=self.group,
            user=self.user,
            last_seen=self.last_seen,
        )


def main(config: Config) -> int:
    """Run the embedded system until SIGINT or SIGTERM. Returns: 0.

    Raises: DataDirUnusable, KeyFileUnusable, OSError (the port), each saying what was found and what was expected.
    """
    clock = SystemClock()
    logs.configure(clock, level=config.log_level, style=config.log_format)
    with open_data_dir(config.data_dir) as data_dir, listen(config.host, config.port) as listener:
        trio.run(_run, config, data_dir, listener, clock)
    return 0


async def _run(config: Config, data_dir: DataDir, listener: socket.socket, clock: Clock) -> None:
    ids = IdSource(clock)
    metrics = Metrics()
    key = load_or_make_key(data_dir.path / "token-key.pem")
    signer = TokenSigner(key, ids, lifetime_s=config.access_token_s)
    verifier = TokenVerifier([signer.verifying_key])
    inbox = Inbox()
    door = Door(inbox)
    database = Database(data_dir.database)
    pool = Pool("password hasher", threads=PASSWORD_THREADS, waiting_max=PASSWORDS_WAITING_MAX)
    passwords = Passwords(pool, "test" if config.password_cost == "test" else "full")
    built = _services(config, database, door, passwords, signer, clock, ids)
    state = _State()
    app = create_app(
        _blueprints(config, built),
        edge=Edge(
            verifier=verifier, is_active=built.user.is_active, clock=clock, cursor_key=bytes.fromhex(ids.secret())
        ),
        ids=ids,
        metrics=metrics,
        registry=registry_of(metrics),
        is_ready=state.why_not_ready,
        statistics=state.statistics,
        files=_web_files(),
    )
    http = HttpDoor(app, metrics)
    async with trio.open_nursery() as stores_and_links:
        await stores_and_links.start(database.run)
        await stores_and_links.start(pool.run)
        router = RouterProcess(
            stores_and_links,
            [listener],
            built.for_router(),
            http.hand_over,
            inbox=inbox,
            clock=clock,
            ids=ids,
            limits=config.limits,
            metrics=metrics,
            node="n1",
            epoch=data_dir.epoch,
            tokens=verifier,
            allowed_origins=frozenset(config.allowed_origins),
        )
        door.connect(router.router)
        _expose(metrics, router, database)
        async with trio.open_nursery() as edge:
            await edge.start(http.run)
            await edge.start(router.reactor.run)
            state.router = router
            host, port = listener.getsockname()[:2]
            _log.info("listening", url=f"http://{host}:{port}/", data_dir=str(data_dir.path), start=data_dir.epoch)
            await _wait_for_signal()
            _log.info("stopping")
            state.router = None
            router.reactor.stop(Close.DRAINING, "the server is stopping")
            http.stop()
        stores_and_links.cancel_scope.cancel()
    _log.info("stopped")


class _State:
    """What /readyz and /statistics tell of the process."""

    def __init__(self) -> None:
        self.router: RouterProcess | None = None

    def why_not_ready(self) -> str | None:
        return "starting or stopping" if self.router is None else None

    def statistics(self) -> object:
        return self.router.statistics() if self.router is not None else {}


def _services(
    config: Config,
    database: Database,
    door: Door,
    passwords: Passwords,
    signer: TokenSigner,
    clock: Clock,
    ids: IdSource,
) -> Built:
    limits = config.limits
    log = EmbeddedLog(database)
    groups = EmbeddedGroupStore(database)
    user = UserService(
        EmbeddedUserStore(database),
        passwords,
        signer,
        door,
        clock,
        ids,
        limits,
        refresh_token_s=config.refresh_token_s,
    )
    message = MessageService(log, log)
    group_message = GroupMessageService(log, log)
    group = GroupService(groups, group_message)
    relay = RelayService(
        EmbeddedRelayStore(database),
        message=message,
        group_message=group_message,
        groups=group,
        people=user,
        limits=limits,
    )
    return Built(
        user=user,
        group=group,
        relay=relay,
        message=message,
        group_message=group_message,
        last_seen=LastSeenService(EmbeddedLastSeenStore(database), people=user, contacts=relay, limits=limits),
        user_groups=UserGroups(group, groups, door, people=user, lists=relay, clock=clock, ids=ids, limits=limits),
        user_relay=UserRelay(relay, door, message=message, group_message=group_message),
        user_messages=UserMessages(message, relay, door, are_groups=False),
        user_group_messages=UserMessages(group_message, relay, door, are_groups=True),
    )


def _blueprints(config: Config, built: Built) -> list[Blueprint]:
    return [
        user_routes.routes(built.user),
        group_routes.routes(built.user_groups, config.limits),
        relay_routes.routes(built.user_relay),
        message_routes.routes(built.user_messages, config.limits),
        group_message_routes.routes(built.user_group_messages, config.limits),
        last_seen_routes.routes(built.last_seen),
    ]


def _web_files() -> dict[str, static.File]:
    root = static.web_root()
    return static.read_files(root) if root is not None else {}


def _expose(metrics: Metrics, router: RouterProcess, database: Database) -> None:
    """Depths of queues, looked at when someone scrapes."""
    metrics.slots_owned = SLOTS
    metrics.queue_depth["inbox"] = lambda: router.inbox_depth
    metrics.queue_depth["sends"] = lambda: router.router.statistics()["sends_waiting"]
    metrics.queue_depth["store_writes"] = lambda: database.statistics()["writes_waiting"]
    metrics.queue_depth["store_reads"] = lambda: database.statistics()["reads_waiting"]


async def _wait_for_signal() -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return
