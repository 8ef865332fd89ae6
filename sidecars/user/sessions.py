"""Logging in and staying logged in: accounts are made, passwords compared, devices and their tokens come and go.

Whoever is refused learns nothing but that: an unknown address and a wrong password give the same answer after the same
time. Limits count before the expensive part, so that attempts in parallel count too.
"""

from typing import Final, Protocol, assert_never

from msgspec import Struct

from core.base.clock import Clock
from core.base.errors import Rejected, Unavailable, not_found
from core.base.ids import DeviceId, IdSource, UserId
from core.base.limits import LOGIN_FAILURES_WINDOW_S, Limits
from core.base.tokens import TokenSigner
from sidecars.ports.users import Account, Device, UserStore
from sidecars.user import refresh
from sidecars.user.attempts import Attempts
from sidecars.user.names import clean_name, email_key
from sidecars.user.passwords import Passwords, check_length, check_new

_HOUR_S: Final = 3_600.0
_UNNAMED_DEVICE: Final = "Unnamed device"


class UserEvents(Protocol):
    """Whom the user service tells of what others must know at once. Plain calls, after the store has it."""

    def on_revoked(self, user: UserId, device: DeviceId) -> None:
        """A device is no longer logged in: its sockets are to be closed."""

    def on_block_changed(self, user: UserId, other: UserId) -> None:
        """`user` has blocked or unblocked `other`."""

    def on_privacy_changed(self, user: UserId) -> None:
        """What others may know of `user` has changed."""


class LoggedIn(Struct, frozen=True):
    """What a client gets who has come in."""

    account: Account
    device: DeviceId
    access_token: str
    refresh_token: str
    expires_in_s: int


class Sessions:
    """Registering, logging in and out, refreshing, devices, passwords."""

    def __init__(
        self,
        store: UserStore,
        passwords: Passwords,
        signer: TokenSigner,
        events: UserEvents,
        clock: Clock,
        ids: IdSource,
        limits: Limits,
        refresh_token_s: int,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._signer = signer
        self._events = events
        self._clock = clock
        self._ids = ids
        self._devices_max = limits.devices_per_user
        self._refresh_token_s = refresh_token_s
        self._registrations = Attempts("registrations from this address", limits.registrations_per_hour, _HOUR_S)
        self._logins = Attempts("logins from this address", limits.logins_per_hour, _HOUR_S)
        self._failures = Attempts("failed logins to this account", limits.login_failures, LOGIN_FAILURES_WINDOW_S)

    # ---- coming in

    async def register(self, email: str, name: str, password: str, *, device_name: str = "", address: str) -> LoggedIn:
        """Make an account and log its first device in.

        Raises: Rejected (bad_request, conflict), Overloaded, Unavailable.
        """
        key, name, device_name = email_key(email), clean_name(name), _device_name(device_name)
        check_new(password)
        self._registrations.take(address, self._clock.monotonic_s())
        try:
            account = await self._add(key, email, name, password, is_operator=False)
        except Unavailable:
            self._registrations.give_back(address)
            raise
        return await self._log_in(account, None, device_name)

    async def add(self, email: str, name: str, password: str, *, is_operator: bool = False) -> Account:
        """Make an account, for those who run the deployment.

        Raises: Rejected (bad_request, conflict), Unavailable.
        """
        key, name = email_key(email), clean_name(name)
        check_new(password)
        return await self._add(key, email, name, password, is_operator=is_operator)

    async def _add(self, key: str, email: str, name: str, password: str, *, is_operator: bool) -> Account:
        # Looked for first, since a hash is dear; what decides is the store, when it adds.
        taken = Rejected("conflict", "there is an account with this e-mail address", field="email")
        if await self._store.account_of_email(key) is not None:
            raise taken
        password_hash = await self._passwords.hash(password)
        user = UserId(self._ids.uuid7())
        account = Account(user, email.strip(), key, name, password_hash, self._clock.wall_ms(), is_operator=is_operator)
        if not await self._store.add(account):
            raise taken
        return account

    async def log_in(
        self, email: str, password: str, *, device_name: str = "", device: str = "", address: str
    ) -> LoggedIn:
        """Log a device in: `device` again, if it is one of the user's, else a new one.

        Raises: Rejected (bad_request; unauthenticated for an unknown address and a wrong password alike; forbidden for
        a disabled account), Overloaded, Unavailable.
        """
        key, device_name = email_key(email), _device_name(device_name)
        check_length(password)
        self._logins.take(address, self._clock.monotonic_s())
        try:
            account = await self._store.account_of_email(key)
            is_right = await self._is_right(key, address, password, account)
        except Unavailable:
            self._logins.give_back(address)
            raise
        if not is_right:
            raise _wrong()
        assert account is not None
        if account.is_disabled:
            raise Rejected("forbidden", "this account is disabled")
        known = None
        if device:
            devices = await self._store.devices(account.id)
            known = next((one for one in devices if one.id == device), None)
        return await self._log_in(account, known, device_name)

    async def _is_right(self, key: str, address: str, password: str, account: Account | None) -> bool:
        """Compare, and count a failure: by account and address, so that the owner still gets in from elsewhere."""
        attempt = (key, address)
        self._failures.take(attempt, self._clock.monotonic_s())
        try:
            is_right = await self._passwords.matches(password, None if account is None else account.password_hash)
        except BaseException:
            self._failures.give_back(attempt)  # nothing was learned by it
            raise
        if is_right:
            self._failures.forget(attempt)
        return is_right

    async def _log_in(self, account: Account, known: Device | None, device_name: str) -> LoggedIn:
        now_ms = self._clock.wall_ms()
        first = refresh.start(self._ids, now_ms, self._refresh_token_s)
        if known is None:
            new_id = DeviceId(self._ids.uuid7())
            device = Device(new_id, account.id, device_name or _UNNAMED_DEVICE, now_ms, now_ms, first.family)
        else:
            device = Device(known.id, account.id, device_name or known.name, known.created_ms, now_ms, first.family)
        removed = await self._store.log_in(device, account.password_hash, self._devices_max)
        if removed is None:  # deleted, disabled or given another password since it was read
            raise _wrong()
        self._tell_revoked(account.id, removed)
        return self._logged_in(account, device.id, first.token)

    def _logged_in(self, account: Account, device: DeviceId, refresh_token: str) -> LoggedIn:
        token = self._signer.sign(account.id, device, self._clock.wall_ms(), is_operator=account.is_operator)
        return LoggedIn(account, device, token, refresh_token, self._signer.lifetime_s)

    # ---- staying

    async def refresh(self, token: str) -> LoggedIn:
        """Exchange a refresh token for new tokens.

        One that was exchanged before ends its family and logs the device out, unless it is the one before the newest
        and the exchange was just now.

        Raises: Rejected (unauthenticated), Unavailable.
        """
        presented = refresh.parse(token)
        for _ in range(2):  # who loses a race finds the winner's outcome the second time
            device = await self._store.device_of_family(presented.family_hash)
            account = None if device is None else await self._store.account(device.user)
            if device is None or account is None or not account.is_active:
                raise refresh.refusal()
            now_ms = self._clock.wall_ms()
            answer = refresh.exchange(device.family, presented, self._ids, now_ms, self._refresh_token_s)
            match answer:
                case refresh.Exchanged(family, next_token):
                    if await self._store.rotate(device.id, device.family.current_hash, family, now_ms):
                        return self._logged_in(account, device.id, next_token)
                case refresh.Repeated(next_token):
                    return self._logged_in(account, device.id, next_token)
                case refresh.Reused():
                    await self._remove(device.user, device.id)
                    raise refresh.refusal()
                case refresh.Expired():
                    raise refresh.refusal()
                case _:
                    assert_never(answer)
        raise Unavailable("the tokens of this device change too fast")

    async def set_password(self, user: UserId, device: DeviceId, current: str, password: str, *, address: str) -> None:
        """Change the password; all other devices are logged out.

        Raises: Rejected (bad_request; forbidden where `current` is wrong), Overloaded, Unavailable.
        """
        check_new(password)
        check_length(current, "current_password")
        account = await self._store.account(user)
        if account is None or not account.is_active:
            raise not_found("user")
        wrong = Rejected("forbidden", "current_password is not the password of this account", field="current_password")
        if not await self._is_right(account.email_key, address, current, account):
            raise wrong
        new_hash = await self._passwords.hash(password)
        removed = await self._store.set_password(user, account.password_hash, new_hash, device)
        if removed is None:
            raise wrong
        self._tell_revoked(user, removed)

    # ---- devices, and leaving

    async def log_out(self, user: UserId, device: DeviceId) -> None:
        """Log a device out; nothing happens to one that is out already."""
        await self._remove(user, device)

    async def devices(self, user: UserId) -> list[Device]:
        """The devices that are logged in, the one used last first."""
        return await self._store.devices(user)

    async def remove_device(self, user: UserId, device: DeviceId) -> None:
        """Log one of the user's devices out. Raises: Rejected (not_found)."""
        if not await self._remove(user, device):
            raise not_found("device")

    async def remove_all(self, user: UserId) -> None:
        """Log all devices of a user out."""
        for device in await self._store.devices(user):
            await self._remove(user, device.id)

    async def erase(self, user: UserId) -> None:
        """Delete an account with all that is personal; its devices are logged out."""
        self._tell_revoked(user, await self._store.erase(user, self._clock.wall_ms()))

    async def _remove(self, user: UserId, device: DeviceId) -> bool:
        is_removed = await self._store.remove_device(user, device)
        if is_removed:
            self._events.on_revoked(user, device)
        return is_removed

    def _tell_revoked(self, user: UserId, devices: list[DeviceId]) -> None:
        for device in devices:
            self._events.on_revoked(user, device)


def _wrong() -> Rejected:
    return Rejected("unauthenticated", "e-mail address or password is wrong")


def _device_name(text: str) -> str:
    """As it is kept; "" where none was given."""
    return clean_name(text, "device_name") if text else ""
