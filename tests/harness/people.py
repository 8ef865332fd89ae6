"""People on a server, by REST as any client uses it: register, log in, call.

    ann, bob = register(server.url, "ann"), register(server.url, "bob")
    ann.post("/group-service/groups", {"name": "team", "members": [{"user": bob.id}]})

Every call blocks and has a connection of its own.
"""

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PASSWORD = "correct horse 1"
CALL_S = 30.0


class Refused(Exception):
    """An answer that is not 2xx; `problem` is its body."""

    def __init__(self, status: int, problem: Any) -> None:
        super().__init__(f"{status}: {problem}")
        self.status = status
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Person:
    """One user on one device."""

    url: str
    name: str
    email: str
    id: str
    device: str
    access_token: str
    refresh_token: str

    def get(self, path: str) -> Any:
        """The body of the answer. Raises: Refused."""
        return self.call("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        """The body of the answer. Raises: Refused."""
        return self.call("POST", path, body)

    def delete(self, path: str) -> Any:
        """The body of the answer, usually none. Raises: Refused."""
        return self.call("DELETE", path)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The body of the answer to any request with this device's token. Raises: Refused."""
        return call(self.url, method, path, body, token=self.access_token)

    def again(self) -> "Person":
        """The same user on one more device."""
        return login(self.url, self.name, self.email)

    def direct(self, other: "Person") -> str:
        """The id of the direct conversation of two people."""
        return ":".join(["d", *sorted((self.id, other.id))])


def register(url: str, name: str) -> Person:
    """A new account; the e-mail address is made from the name, so a server has one person of a name."""
    email = f"{name}@example.org"
    body = {"email": email, "name": name, "password": PASSWORD, "device_name": f"{name}'s"}
    return _person(url, name, email, call(url, "POST", "/user-service/auth/register", body))


def login(url: str, name: str, email: str) -> Person:
    """A new device of an account."""
    body = {"email": email, "password": PASSWORD, "device_name": f"{name}'s next"}
    return _person(url, name, email, call(url, "POST", "/user-service/auth/login", body))


def call(url: str, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
    """One request; the body of its answer, parsed where there is one. Raises: Refused, OSError."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    content = None if body is None else json.dumps(body)
    if content is not None:
        headers["Content-Type"] = "application/json"
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=CALL_S)
    try:
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        raw = response.read()
    finally:
        connection.close()
    answer = json.loads(raw) if raw else None
    if not 200 <= response.status < 300:
        raise Refused(response.status, answer)
    return answer


def _person(url: str, name: str, email: str, signed_in: Any) -> Person:
    return Person(
        url,
        name,
        email,
        signed_in["user"]["id"],
        signed_in["device"],
        signed_in["access_token"],
        signed_in["refresh_token"],
    )
