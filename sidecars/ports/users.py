"""Ports of the user service's store: accounts, their devices, who blocks whom. `UserStore` is all three.

The store decides what must be decided in one moment: that an e-mail address has one account, that a refresh token is
exchanged once, that nobody logs in to what was deleted or with a password that was just changed.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, Literal, Protocol

from msgspec import Struct

from core.base.ids import DeviceId, UserId
from core.base.records import Person

LastSeen = Literal["everyone", "contacts", "nobody"]


class Privacy(Struct, frozen=True, gc=False):
    """What others may know of a user. Who hides its own sees no one else's."""

    last_seen: LastSeen = "contacts"
    read_receipts: bool = True


class Account(Struct, frozen=True, gc=False):
    """An account. A deleted one keeps its id and nothing else, so that what it wrote still has a sender."""

    id: UserId
    email: str  # as it was typed; "" once deleted
    email_key: str  # what is unique: one spelling for all variants of the address; "" once deleted
    name: str  # "" once deleted
    password_hash: str  # "" once deleted
    created_ms: int
    privacy: Privacy = Privacy()
    is_operator: bool = False
    is_disabled: bool = False
    deleted_ms: int = 0  # 0: lives

    @property
    def is_active(self) -> bool:
        """Whether its owner may come in."""
        return not self.is_disabled and not self.deleted_ms


class AccountChange(Struct, frozen=True, gc=False, kw_only=True):
    """What to change of an account; None leaves as it is."""

    name: str | None = None
    privacy: Privacy | None = None
    is_operator: bool | None = None
    is_disabled: bool | None = None


class Family(Struct, frozen=True, gc=False):
    """The refresh tokens of one login, of which only hashes are kept. See sidecars/user/refresh.py."""

    family_hash: str  # of the part that all its tokens share
    current_hash: str  # of the part of the newest
    previous_hash: str  # of the part of the one before; "" for none
    nonce: str  # the newest is made of the one before and of this
    rotated_ms: int
    expires_ms: int


class Device(Struct, frozen=True, gc=False):
    """A device that is logged in."""

    id: DeviceId
    user: UserId
    name: str
    created_ms: int
    used_ms: int  # its latest login or refresh
    family: Family


class AccountStore(Protocol):
    """Accounts."""

    async def add(self, account: Account) -> bool:
        """Add an account; False, and nothing done, if its `email_key` has one already."""

    async def account(self, user: UserId) -> Account | None:
        """An account, deleted ones too; None if there never was one."""

    async def accounts(self, users: Sequence[UserId]) -> list[Account]:
        """Those of `users` that exist, deleted ones too, each once, in no particular order."""

    async def account_of_email(self, email_key: str) -> Account | None:
        """The account of an e-mail address, disabled ones too."""

    async def search(self, text: str, limit: int) -> list[Account]:
        """Active accounts whose name has, for each word of `text`, a word that begins with it (see `words_of`); by
        name, then id. Nothing for a text without words."""

    async def change(self, user: UserId, change: AccountChange) -> Account | None:
        """Change an account and return it as it is then; None if there is none or it was deleted."""

    async def set_password(
        self, user: UserId, old_hash: str, new_hash: str, keep: DeviceId | None
    ) -> list[DeviceId] | None:
        """Replace `old_hash`, and remove all devices but `keep`; returns those. None if the hash is another by now."""

    async def erase(self, user: UserId, at_ms: int) -> list[DeviceId]:
        """Delete an account: all but its id goes, with its devices and blocks in both directions; its address is free.
        Returns the devices that were removed; nothing happens to one that is deleted or never was."""


class DeviceStore(Protocol):
    """Devices and their refresh tokens."""

    async def log_in(self, device: Device, password_hash: str, devices_max: int) -> list[DeviceId] | None:
        """Add a device, or replace the one of its id, if it is the same user's. Then those of the user's devices that
        were unused longest are removed until `devices_max` are left, never the new one; returns the removed ones.

        None, and nothing done, if the account is not active, or its password's hash is another than `password_hash`, or
        the id is a device of another user.
        """

    async def device_of_family(self, family_hash: str) -> Device | None:
        """The device whose refresh tokens are of a family."""

    async def devices(self, user: UserId) -> list[Device]:
        """A user's devices, the one used last first."""

    async def rotate(self, device: DeviceId, current_hash: str, family: Family, used_ms: int) -> bool:
        """Replace the family whose newest token is `current_hash`; False, and nothing done, if it is another by now."""

    async def remove_device(self, user: UserId, device: DeviceId) -> bool:
        """Remove a user's device, its refresh tokens with it; False if there is none."""

    async def person(self, user: UserId, device: DeviceId) -> Person | None:
        """A user and its device; None if there is no such user or no such device of it."""


class BlockStore(Protocol):
    """Who has blocked whom."""

    async def set_block(self, user: UserId, other: UserId, is_blocked: bool) -> bool:
        """`user` blocks or unblocks `other`; False if nothing changed."""

    async def blocks(self, user: UserId) -> list[UserId]:
        """Whom `user` has blocked, sorted."""

    async def blockers(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """Which of `others` have blocked `user`."""

    async def blocked(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """Which of `others` are blocked by `user`."""

    async def pair(self, one: UserId, other: UserId) -> frozenset[UserId] | None:
        """Which of the two has blocked the other; None if one of them never was an account."""


class UserStore(AccountStore, DeviceStore, BlockStore, Protocol):
    """All that the user service keeps."""


_WORD: Final = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """The words that a name is found by, or that are looked for: without case, accents, compatibility forms; sorted."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return sorted(set(_WORD.findall(letters)))
