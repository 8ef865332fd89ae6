"""The stores that the suites run on: a new one is a new item of `BACKENDS`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pytest
import trio

from sidecars.ports.groups import GroupStore
from sidecars.ports.last_seen import LastSeenStore
from sidecars.ports.message_log import LogReader, MessageLog
from sidecars.ports.relay import RelayStore
from sidecars.ports.users import UserStore
from sidecars.stores.embedded.data_dir import open_data_dir
from sidecars.stores.embedded.database import open_database
from sidecars.stores.embedded.groups import EmbeddedGroupStore
from sidecars.stores.embedded.last_seen import EmbeddedLastSeenStore
from sidecars.stores.embedded.log import EmbeddedLog
from sidecars.stores.embedded.relay import EmbeddedRelayStore
from sidecars.stores.embedded.users import EmbeddedUserStore

T = TypeVar("T")


@dataclass(frozen=True)
class Stores:
    """Empty stores of one backend; `log` and `reader` see the same logs."""

    log: MessageLog
    reader: LogReader
    relay: RelayStore
    groups: GroupStore
    users: UserStore
    last_seen: LastSeenStore


@dataclass(frozen=True)
class Backend:
    """How to get stores."""

    name: str
    open: Callable[[], AbstractAsyncContextManager[Stores]]

    def run(self, test: Callable[[Stores], Awaitable[T]]) -> T:
        """Run a test on fresh stores."""

        async def on_stores() -> T:
            async with self.open() as stores:
                return await test(stores)

        return trio.run(on_stores)


@asynccontextmanager
async def _embedded() -> AsyncIterator[Stores]:
    with TemporaryDirectory() as folder, open_data_dir(Path(folder)) as data_dir:
        async with open_database(data_dir.database) as database:
            log = EmbeddedLog(database)
            yield Stores(
                log,
                log,
                EmbeddedRelayStore(database),
                EmbeddedGroupStore(database),
                EmbeddedUserStore(database),
                EmbeddedLastSeenStore(database),
            )


BACKENDS = [Backend("embedded", _embedded)]

on_every_backend = pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
