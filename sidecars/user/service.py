"""The user service: what accounts say about themselves, privacy, blocks. `sessions` has logins, devices and tokens.

It fulfils `UserService` of core/links/services.py for the router, and answers what other services ask about people.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from core.base.clock import Clock
from core.base.errors import Rejected, not_found
from core.base.ids import DeviceId, IdSource, UserId, is_uuid
from core.base.limits import BLOCKS_PER_USER_MAX, EMAIL_CHARS_MAX, USERS_FOUND_MAX, Limits
from core.base.records import Person
from core.base.tokens import TokenSigner
from sidecars.ports.users import Account, AccountChange, Device, Privacy, UserStore
from sidecars.user.names import clean_name, email_key
from sidecars.user.passwords import Passwords
from sidecars.user.sessions import Sessions, UserEvents

DELETED_NAME: Final = "Deleted account"
"""What one is called who is no longer there."""


class UserService:
    """People. Every method is a checkpoint, and raises only `TrimaranError`s."""

    def __init__(
        self,
        store: UserStore,
        passwords: Passwords,
        signer: TokenSigner,
        events: UserEvents,
        clock: Clock,
        ids: IdSource,
        limits: Limits,
        *,
        refresh_token_s: int,
    ) -> None:
        self._store = store
        self._signer = signer
        self._events = events
        self.sessions: Final = Sessions(store, passwords, signer, events, clock, ids, limits, refresh_token_s)

    # ---- what the router and the other services ask

    async def person(self, user: UserId, device: DeviceId) -> Person | None:
        """Who connects; None if there is no such user or device."""
        return await self._store.person(user, device)

    async def is_active(self, user: UserId, device: DeviceId) -> bool:
        """Whether a token of the device still stands for its user."""
        person = await self._store.person(user, device)
        return person is not None and person.is_active

    async def pair(self, one: UserId, other: UserId) -> frozenset[UserId]:
        """Which of the two has blocked the other. Raises: Rejected (not_found) if one of them does not exist.

        A deleted one does: what it wrote is still read.
        """
        blockers = await self._store.pair(one, other)
        if blockers is None:
            raise not_found("user")
        return blockers

    async def names(self, users: Sequence[UserId]) -> dict[UserId, str]:
        """How users are called, deleted ones too; those that never were are left out."""
        return {account.id: account.name or DELETED_NAME for account in await self._store.accounts(users)}

    async def privacy(self, users: Sequence[UserId]) -> dict[UserId, Privacy]:
        """What others may know of users; those that never were are left out."""
        return {account.id: account.privacy for account in await self._store.accounts(users)}

    async def blockers(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """Which of `others` have blocked `user`."""
        return await self._store.blockers(user, others)

    async def blocked(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """Which of `others` are blocked by `user`."""
        return await self._store.blocked(user, others)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys of access tokens, as a JWK set (RFC 7517, section 5)."""
        return {"keys": [self._signer.verifying_key.jwk()]}

    # ---- profiles

    async def me(self, user: UserId) -> Account:
        """One's own account. Raises: Rejected (not_found) if it was deleted meanwhile."""
        return await self._living(user)

    async def user(self, user: UserId) -> Account:
        """Another's account, of which id and name are for showing. Raises: Rejected (not_found)."""
        return await self._living(user)

    async def users(self, users: Iterable[UserId]) -> list[Account]:
        """Several, in the order asked, each once; those that do not exist are left out."""
        wanted = [user for user in dict.fromkeys(users) if is_uuid(user)]
        found = {account.id: account for account in await self._store.accounts(wanted) if not account.deleted_ms}
        return [found[user] for user in wanted if user in found]

    async def search(self, text: str) -> list[Account]:
        """Whose name has these words, or words that begin so; or who has exactly this e-mail address."""
        text = text.strip()
        if len(text) > EMAIL_CHARS_MAX:
            raise Rejected("bad_request", f"search: expected at most {EMAIL_CHARS_MAX} characters", field="search")
        if "@" not in text:
            return await self._store.search(text, USERS_FOUND_MAX)
        try:
            account = await self._store.account_of_email(email_key(text))
        except Rejected:
            return []  # still being typed
        return [account] if account is not None and account.is_active else []

    async def rename(self, user: UserId, name: str) -> Account:
        """Change one's name. Raises: Rejected (bad_request; not_found if the account was deleted meanwhile)."""
        return await self._change(user, AccountChange(name=clean_name(name)))

    async def set_operator(self, user: UserId, is_operator: bool) -> Account:
        """Make or unmake an operator; counts from the next access token on. Raises: Rejected (not_found)."""
        return await self._change(user, AccountChange(is_operator=is_operator))

    async def set_disabled(self, user: UserId, is_disabled: bool) -> Account:
        """Shut an account, and log all its devices out; or open it again. Raises: Rejected (not_found)."""
        account = await self._change(user, AccountChange(is_disabled=is_disabled))
        if is_disabled:
            await self.sessions.remove_all(user)
        return account

    async def own_privacy(self, user: UserId) -> Privacy:
        """What others may know of oneself."""
        return (await self._living(user)).privacy

    async def set_privacy(self, user: UserId, privacy: Privacy) -> Privacy:
        """Change it."""
        account = await self._change(user, AccountChange(privacy=privacy))
        self._events.on_privacy_changed(user)
        return account.privacy

    async def export(self, user: UserId) -> tuple[Account, list[Device], list[UserId]]:
        """All that this service keeps of a user: account, devices, whom it blocks."""
        return await self._living(user), await self._store.devices(user), await self._store.blocks(user)

    # ---- blocks

    async def blocks(self, user: UserId) -> list[Account]:
        """Whom one has blocked."""
        return await self.users(await self._store.blocks(user))

    async def block(self, user: UserId, other: UserId) -> None:
        """Block another. Raises: Rejected (not_found; bad_request for oneself; conflict for too many)."""
        if user == other:
            raise Rejected("bad_request", "user: nobody can block itself", field="user")
        await self._living(other)
        if len(await self._store.blocks(user)) >= BLOCKS_PER_USER_MAX:
            raise Rejected("conflict", f"at most {BLOCKS_PER_USER_MAX} users can be blocked")
        await self._set_block(user, other, is_blocked=True)

    async def unblock(self, user: UserId, other: UserId) -> None:
        """Unblock another; nothing happens where there was no block."""
        await self._set_block(user, other, is_blocked=False)

    async def _set_block(self, user: UserId, other: UserId, *, is_blocked: bool) -> None:
        if await self._store.set_block(user, other, is_blocked):
            self._events.on_block_changed(user, other)

    async def _living(self, user: UserId) -> Account:
        account = await self._store.account(user) if is_uuid(user) else None
        if account is None or account.deleted_ms:
            raise not_found("user")
        return account

    async def _change(self, user: UserId, change: AccountChange) -> Account:
        account = await self._store.change(user, change)
        if account is None:
            raise not_found("user")
        return account
