"""Access tokens as only a thief of the key, or a bungler, could make them."""

import base64
import json
import time
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from core.base.tokens import VerifyingKey
from tests.security.world import Person

ABSENT: Final = object()


class Forger:
    """Makes tokens for a person's device that are right, but for what is asked otherwise."""

    def __init__(self, person: Person) -> None:
        self.person = person
        pem = (person.target.server.data_dir / "token-key.pem").read_bytes()
        key = load_pem_private_key(pem, password=None)
        assert isinstance(key, Ed25519PrivateKey)
        self.key = key
        self.key_id = VerifyingKey(key.public_key()).key_id

    def token(self, payload: dict[str, Any] | None = None, header: dict[str, Any] | None = None) -> str:
        """A token signed by the server's own key. ABSENT leaves a claim out."""
        claims = json.dumps(self.claims(payload)).encode()
        return jwt.PyJWS().encode(claims, self.key, algorithm="EdDSA", headers=self._header(header))

    def by_another_key(self, header: dict[str, Any] | None = None) -> str:
        """A token signed by a key that nobody knows, under the name of the server's."""
        return jwt.encode(self.claims(), Ed25519PrivateKey.generate(), algorithm="EdDSA", headers=self._header(header))

    def by_public_key(self) -> str:
        """A token whose signature is an HMAC with the public key: made by anyone."""
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return jwt.encode(self.claims(), raw, algorithm="HS256", headers=self._header())

    def unsigned(self, algorithm: str) -> str:
        """A token without a signature."""
        header = {"alg": algorithm, **self._header()}
        return f"{_part(header)}.{_part(self.claims())}."

    def claims(self, changes: dict[str, Any] | None = None) -> dict[str, Any]:
        """What a good token says, with changes."""
        now_s = int(time.time())
        good = {
            "iss": "trimaran",
            "aud": "trimaran",
            "sub": self.person.id,
            "device": self.person.device,
            "jti": "1",
            "iat": now_s,
            "exp": now_s + 600,
        }
        return {name: value for name, value in {**good, **(changes or {})}.items() if value is not ABSENT}

    def _header(self, changes: dict[str, Any] | None = None) -> dict[str, Any]:
        header = {"typ": "at+jwt", "kid": self.key_id, **(changes or {})}
        return {name: value for name, value in header.items() if value is not ABSENT}


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
