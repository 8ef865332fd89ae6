"""Who the client is towards the server: one access token, or an account that makes new ones."""

from typing import Protocol


class Tokens(Protocol):
    """Where a chat gets its access token from."""

    async def fresh(self, *, force: bool = False) -> str:
        """A token that is good for a while yet; a new one in any case where `force`.

        Raises:
            ApiError: the credentials are refused.
            Unreachable: the service does not answer.
        """
        ...

    def renew_in_s(self) -> float | None:
        """In how many seconds `fresh` would make a new one; None if it never can."""
        ...


class OneToken:
    """A token that somebody else looks after."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def fresh(self, *, force: bool = False) -> str:
        return self._token

    def renew_in_s(self) -> float | None:
        return None
