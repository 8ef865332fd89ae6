"""Access tokens: JWTs after RFC 9068, signed with Ed25519; made by the user service, verified wherever one comes in.

Verifying is synchronous and touches no store: the router does it while it reads a hello. What a token says about
itself decides nothing (RFC 8725): the algorithm is fixed, the key is looked up among our own, a header with anything
else in it (`jku`, `x5u`, `crit`) is refused unread. Time is passed in. A token outlives a revoked device by minutes:
whoever admits somebody asks the user service too.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt import PyJWS
from jwt.exceptions import InvalidTokenError
from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder, Encoder

from core.base.errors import Rejected
from core.base.ids import DeviceId, IdSource, UserId, is_uuid
from core.base.limits import ACCESS_TOKEN_BYTES_MAX

ISSUER: Final = "trimaran"
AUDIENCE: Final = "trimaran"

# Three parts in base64url. An Ed25519 signature has 512 bits, so its last character carries two: any other than these
# four would be a second spelling of the same signature.
_COMPACT: Final = re.compile(rb"([\w-]+)\.([\w-]+)\.[\w-]{85}[AQgw]", re.ASCII)


class Claims(Struct, frozen=True, gc=False):
    """What a valid token proves."""

    user: UserId
    device: DeviceId
    expires_ms: int
    is_operator: bool


class TokenExpired(Rejected):
    """The token was ours, and its time is over: the client should refresh, not give up."""

    def __init__(self) -> None:
        super().__init__("unauthenticated", "the access token has expired")


class _Header(Struct, frozen=True, forbid_unknown_fields=True):
    alg: Literal["EdDSA"]
    kid: str
    typ: Literal["at+jwt"]


class _Payload(Struct, frozen=True, omit_defaults=True):
    iss: str
    aud: str
    sub: str
    device: str
    jti: str
    iat: int
    exp: int
    nbf: int = 0
    is_operator: bool = False


_JWS: Final = PyJWS(algorithms=["EdDSA"])
_HEADERS: Final = Decoder(_Header)
_PAYLOADS: Final = Decoder(_Payload)
_ENCODER: Final = Encoder()


class VerifyingKey:
    """A public key and its id, which is its thumbprint (RFC 7638), so that the same key has the same id everywhere."""

    __slots__ = ("_x", "key", "key_id")

    def __init__(self, key: Ed25519PublicKey) -> None:
        self.key: Final = key
        self._x: Final = _base64url(key.public_bytes_raw())
        canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{self._x}"}}'
        self.key_id: Final = _base64url(sha256(canonical.encode()).digest())

    def jwk(self) -> dict[str, str]:
        """As a member of a JWK set (RFC 8037)."""
        return {"kty": "OKP", "crv": "Ed25519", "x": self._x, "kid": self.key_id, "use": "sig", "alg": "EdDSA"}


class TokenSigner:
    """Makes tokens that live for `lifetime_s` seconds."""

    def __init__(
        self,
        key: Ed25519PrivateKey,
        ids: IdSource,
        *,
        lifetime_s: int,
        issuer: str = ISSUER,
        audience: str = AUDIENCE,
    ) -> None:
        self._key = key
        self._ids = ids
        self._issuer = issuer
        self._audience = audience
        self.lifetime_s: Final = lifetime_s
        self.verifying_key: Final = VerifyingKey(key.public_key())
        self._header = {"typ": "at+jwt", "kid": self.verifying_key.key_id}

    def sign(self, user: UserId, device: DeviceId, now_ms: int, *, is_operator: bool = False) -> str:
        """A token for a user's device, from now on."""
        now_s = now_ms // 1_000
        payload = _Payload(
            self._issuer,
            self._audience,
            user,
            device,
            self._ids.uuid7(),
            now_s,
            now_s + self.lifetime_s,
            is_operator=is_operator,
        )
        return _JWS.encode(_ENCODER.encode(payload), self._key, algorithm="EdDSA", headers=self._header)


class TokenVerifier:
    """Tells whose a token is, from our own public keys alone."""

    def __init__(
        self,
        keys: Iterable[VerifyingKey],
        *,
        issuer: str = ISSUER,
        audience: str = AUDIENCE,
    ) -> None:
        self._keys: Final = {key.key_id: key.key for key in keys}
        self._issuer = issuer
        self._audience = audience

    def verify(self, token: str | bytes, now_ms: int) -> Claims:
        """What `token` proves at `now_ms`.

        Raises: TokenExpired; Rejected (unauthenticated) for anything else that is wrong with it.
        """
        if len(token) > ACCESS_TOKEN_BYTES_MAX:
            raise _refusal()
        claims = self._payload(_ascii(token) if isinstance(token, str) else token)
        if claims.iss != self._issuer or claims.aud != self._audience or claims.nbf * 1_000 > now_ms:
            raise _refusal()
        if claims.exp * 1_000 <= now_ms:
            raise TokenExpired
        user, device = UserId(claims.sub), DeviceId(claims.device)
        if not is_uuid(user) or not is_uuid(device):
            raise _refusal()
        return Claims(user, device, claims.exp * 1_000, claims.is_operator)

    def _payload(self, token: bytes) -> _Payload:
        """The claims of a token with a signature of ours."""
        parts = _COMPACT.fullmatch(token)
        if parts is None:
            raise _refusal()
        try:
            header = _HEADERS.decode(_unbase64url(parts[1]))
            key = self._keys.get(header.kid)
            if key is None:
                raise _refusal()
            # PyJWT parses the header again; it may, now that nothing but three short strings can be in it.
            return _PAYLOADS.decode(_JWS.decode_complete(token, key, algorithms=["EdDSA"])["payload"])
        except (InvalidTokenError, DecodeError, ValidationError, Base64Error, UnicodeDecodeError) as error:
            raise _refusal() from error


def _refusal() -> Rejected:
    """One answer for all that can be wrong: which it was would help only who tries."""
    return Rejected("unauthenticated", "the access token is not valid")


def _ascii(token: str) -> bytes:
    try:
        return token.encode("ascii")
    except UnicodeEncodeError as error:
        raise _refusal() from error


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _unbase64url(text: bytes) -> bytes:
    return urlsafe_b64decode(text + b"=" * (-len(text) % 4))
