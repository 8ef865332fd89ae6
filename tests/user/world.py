"""A user service to test: on the embedded store, with a clock that is set, cheap passwords and events that are kept."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TypeVar

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.base.clock import ManualClock
from core.base.errors import ErrorCode, TrimaranError, Unavailable
from core.base.ids import DeviceId, IdSource, UserId
from core.base.limits import Limits
from core.base.tokens import TokenSigner, TokenVerifier
from sidecars.ports.users import UserStore
from sidecars.stores.embedded.data_dir import open_data_dir
from sidecars.stores.embedded.database import open_database
from sidecars.stores.embedded.users import EmbeddedUserStore
from sidecars.user.passwords import Passwords, Pool
from sidecars.user.service import UserService
from sidecars.user.sessions import LoggedIn

T = TypeVar("T")

PASSWORD = "correct horse"
HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"
ACCESS_TOKEN_S, REFRESH_TOKEN_S = 900, 30 * 86_400


class InlinePool:
    """Does each job at once; refuses all while it is `full`."""

    def __init__(self) -> None:
        self.calls = 0
        self.is_full = False

    async def call(self, job: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        if self.is_full:
            raise Unavailable("full")
        self.calls += 1
        return job()


@dataclass
class Events:
    """Keeps what it is told."""

    revoked: list[tuple[UserId, DeviceId]] = field(default_factory=list)
    blocks: list[tuple[UserId, UserId]] = field(default_factory=list)
    privacy: list[UserId] = field(default_factory=list)

    def on_revoked(self, user: UserId, device: DeviceId) -> None:
        self.revoked.append((user, device))

    def on_block_changed(self, user: UserId, other: UserId) -> None:
        self.blocks.append((user, other))

    def on_privacy_changed(self, user: UserId) -> None:
        self.privacy.append(user)


@dataclass
class World:
    """The service and what is around it."""

    service: UserService
    store: UserStore
    clock: ManualClock
    events: Events
    pool: InlinePool
    verifier: TokenVerifier
    ids: IdSource

    async def register(self, name: str = "Ann", address: str = HERE) -> LoggedIn:
        """A new account, logged in."""
        email = f"{name.lower()}@example.org"
        return await self.service.sessions.register(email, name, PASSWORD, device_name="phone", address=address)

    async def log_in(
        self, name: str = "Ann", password: str = PASSWORD, *, device: str = "", address: str = HERE
    ) -> LoggedIn:
        """The account of `register`, logged in again."""
        email = f"{name.lower()}@example.org"
        return await self.service.sessions.log_in(email, password, device=device, address=address)


@asynccontextmanager
async def open_world(limits: Limits | None = None, pool: Pool | None = None) -> AsyncIterator[World]:
    """A fresh world; without limits of its own, rates are off."""
    limits = limits or Limits(logins_per_hour=0, registrations_per_hour=0, login_failures=0)
    clock = ManualClock()
    ids = IdSource(clock, Random(1))
    signer = TokenSigner(Ed25519PrivateKey.generate(), ids, lifetime_s=ACCESS_TOKEN_S)
    events, inline = Events(), InlinePool()
    with TemporaryDirectory() as folder, open_data_dir(Path(folder)) as data_dir:
        async with open_database(data_dir.database) as database:
            store = EmbeddedUserStore(database)
            passwords = Passwords(pool or inline, "test")
            service = UserService(store, passwords, signer, events, clock, ids, limits, refresh_token_s=REFRESH_TOKEN_S)
            yield World(service, store, clock, events, inline, TokenVerifier([signer.verifying_key]), ids)


@asynccontextmanager
async def refused(code: ErrorCode, field: str | None = None) -> AsyncIterator[pytest.ExceptionInfo[TrimaranError]]:
    """What is inside must be refused with this code, and name this field."""
    with pytest.raises(TrimaranError) as caught:
        yield caught
    assert (caught.value.code, caught.value.field) == (code, field), caught.value.message
