"""Access tokens: what we signed is believed until its time is over, anything else is refused (RFC 8725, RFC 9068)."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from random import Random
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from core.base.clock import ManualClock
from core.base.errors import Rejected
from core.base.ids import DeviceId, IdSource, UserId
from core.base.limits import ACCESS_TOKEN_BYTES_MAX
from core.base.tokens import Claims, TokenExpired, TokenSigner, TokenVerifier, VerifyingKey

USER = UserId("01890000-0000-7000-8000-00000000000a")
DEVICE = DeviceId("01890000-0000-7000-8000-000000000002")
NOW_MS = 1_800_000_000_500
LIFETIME_S = 900

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = TokenSigner(KEY, IdSource(ManualClock(), Random(1)), lifetime_s=LIFETIME_S)
VERIFIER = TokenVerifier([SIGNER.verifying_key])
KEY_ID = SIGNER.verifying_key.key_id
TOKEN = SIGNER.sign(USER, DEVICE, NOW_MS)

HEADER: dict[str, Any] = {"alg": "EdDSA", "kid": KEY_ID, "typ": "at+jwt"}
PAYLOAD: dict[str, Any] = {
    "iss": "trimaran",
    "aud": "trimaran",
    "sub": USER,
    "device": DEVICE,
    "jti": "01890000-0000-7000-8000-000000000003",
    "iat": NOW_MS // 1_000,
    "exp": NOW_MS // 1_000 + LIFETIME_S,
}


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(payload: Any = PAYLOAD, header: Any = HEADER) -> str:
    """A token with our own signature, whatever it says."""
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    signing_input = f"{encoded(head)}.{encoded(text)}"
    return f"{signing_input}.{encoded(KEY.sign(signing_input.encode()))}"


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


def assert_refused(token: str | bytes, now_ms: int = NOW_MS) -> None:
    with pytest.raises(Rejected) as caught:
        VERIFIER.verify(token, now_ms)
    assert caught.value.code == "unauthenticated"
    assert not isinstance(caught.value, TokenExpired)


def test_what_was_signed_is_believed_as_text_and_as_bytes() -> None:
    claims = Claims(USER, DEVICE, (NOW_MS // 1_000 + LIFETIME_S) * 1_000, False)
    assert VERIFIER.verify(TOKEN, NOW_MS) == claims
    assert VERIFIER.verify(TOKEN.encode(), NOW_MS) == claims
    assert VERIFIER.verify(SIGNER.sign(USER, DEVICE, NOW_MS, is_operator=True), NOW_MS).is_operator


def test_a_token_is_what_rfc_9068_says_and_reads_with_any_library() -> None:
    jwk = jwt.PyJWK(SIGNER.verifying_key.jwk())
    complete = jwt.decode_complete(
        TOKEN,
        jwk,
        algorithms=["EdDSA"],
        audience="trimaran",
        issuer="trimaran",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert complete["header"] == HEADER
    assert {"iss", "exp", "aud", "sub", "iat", "jti", "device"} == complete["payload"].keys()
    assert complete["payload"]["sub"] == USER


def test_two_tokens_of_one_moment_differ() -> None:
    assert SIGNER.sign(USER, DEVICE, NOW_MS) != SIGNER.sign(USER, DEVICE, NOW_MS)


def test_the_tests_own_forger_is_believed_where_it_forges_nothing() -> None:
    assert VERIFIER.verify(signed(), NOW_MS).user == USER


def test_a_token_ends_at_its_expiry_and_says_so() -> None:
    end_ms = (NOW_MS // 1_000 + LIFETIME_S) * 1_000
    assert VERIFIER.verify(TOKEN, end_ms - 1).expires_ms == end_ms
    with pytest.raises(TokenExpired):
        VERIFIER.verify(TOKEN, end_ms)


@pytest.mark.parametrize(
    "payload",
    [
        *(without(PAYLOAD, name) for name in PAYLOAD),
        PAYLOAD | {"iss": "someone"},
        PAYLOAD | {"aud": "elsewhere"},
        PAYLOAD | {"aud": ["trimaran"]},
        PAYLOAD | {"exp": str(PAYLOAD["exp"])},
        PAYLOAD | {"exp": None},
        PAYLOAD | {"exp": True},
        PAYLOAD | {"exp": [PAYLOAD["exp"]]},
        PAYLOAD | {"nbf": NOW_MS // 1_000 + 60},
        PAYLOAD | {"nbf": "0"},
        PAYLOAD | {"sub": "ann"},
        PAYLOAD | {"sub": USER.upper()},
        PAYLOAD | {"sub": 7},
        PAYLOAD | {"device": ""},
        PAYLOAD | {"is_operator": "true"},
        [],
        "text",
        b"",
        b"{",
        b'{"exp": NaN}',
        b"\xff",
        b"[" * 1_000,
    ],
)
def test_our_own_signature_does_not_make_wrong_claims_right(payload: Any) -> None:
    assert_refused(signed(payload))


def test_a_time_that_no_clock_can_show_is_no_trouble() -> None:
    assert VERIFIER.verify(signed(PAYLOAD | {"exp": 1 << 70}), NOW_MS).user == USER
    assert_refused(signed(PAYLOAD | {"nbf": 1 << 70}))
    with pytest.raises(TokenExpired):
        VERIFIER.verify(signed(PAYLOAD | {"exp": -(1 << 70)}), NOW_MS)


@pytest.mark.parametrize(
    "header",
    [
        *(without(HEADER, name) for name in HEADER),
        HEADER | {"alg": "none"},
        HEADER | {"alg": "HS256"},
        HEADER | {"alg": "Ed25519"},
        HEADER | {"alg": ["EdDSA"]},
        HEADER | {"typ": "JWT"},
        HEADER | {"typ": "rt+jwt"},
        HEADER | {"kid": ""},
        HEADER | {"kid": "../../../etc/passwd"},
        HEADER | {"kid": "' OR 1=1 --"},
        HEADER | {"kid": KEY_ID + "\0"},
        HEADER | {"kid": 0},
        HEADER | {"jku": "https://evil.test/jwks.json"},
        HEADER | {"x5u": "https://evil.test/cert.pem"},
        HEADER | {"jwk": SIGNER.verifying_key.jwk()},
        HEADER | {"crit": ["exp"]},
        HEADER | {"b64": False},
        HEADER | {"cty": "JWT"},
        [],
        b"",
        b"\xff\xfe",
        b"[" * 2_000,
        b'{"alg":' * 250,
    ],
)
def test_a_header_that_is_not_exactly_ours_is_refused(header: Any) -> None:
    assert_refused(signed(header=header))


def test_no_other_algorithm_is_tried_with_our_public_key() -> None:
    public = KEY.public_key()
    for secret in (public.public_bytes_raw(), public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)):
        for alg in ("HS256", "EdDSA"):
            signing_input = (
                f"{encoded(json.dumps(HEADER | {'alg': alg}).encode())}.{encoded(json.dumps(PAYLOAD).encode())}"
            )
            mac = hmac.new(
                secret, signing_input.encode(), hashlib.sha512 if alg == "EdDSA" else hashlib.sha256
            ).digest()
            assert_refused(f"{signing_input}.{encoded(mac)}")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        TOKEN[:-1],
        TOKEN + "A",
        TOKEN + "=",
        TOKEN + "\n",
        " " + TOKEN,
        TOKEN.rpartition(".")[0] + ".",
        TOKEN.rpartition(".")[0],
        TOKEN.replace(".", "..", 1),
        TOKEN.replace(".", ".\u00e9", 1),
        TOKEN.replace(".", ".\ud800", 1),
        TOKEN.replace(".", ".\0", 1),
        "Bearer " + TOKEN,
        "f" * 64 + "." + "e" * 64,
        b"\xff" * 100,
    ],
)
def test_what_is_not_a_token_is_refused(token: str | bytes) -> None:
    assert_refused(token)


def test_each_character_of_a_token_counts() -> None:
    for at in range(len(TOKEN)):
        other = "B" if TOKEN[at] == "A" else "A"
        assert_refused(TOKEN[:at] + other + TOKEN[at + 1 :])


def test_a_signature_has_one_spelling() -> None:
    head, _, signature = TOKEN.rpartition(".")
    same = [
        signature[:-1] + last
        for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        if urlsafe_b64decode(signature[:-1] + last + "==") == urlsafe_b64decode(signature + "==")
    ]
    assert len(same) == 16
    assert [spelling for spelling in same if _is_believed(f"{head}.{spelling}")] == [signature]


def _is_believed(token: str) -> bool:
    try:
        VERIFIER.verify(token, NOW_MS)
    except Rejected:
        return False
    return True


def test_an_oversize_token_is_refused_though_all_else_is_right() -> None:
    fits = signed(PAYLOAD | {"x": "y" * (ACCESS_TOKEN_BYTES_MAX // 2)})
    assert VERIFIER.verify(fits, NOW_MS).user == USER
    assert_refused(signed(PAYLOAD | {"x": "y" * ACCESS_TOKEN_BYTES_MAX}))
    assert_refused("x" * (64 << 10))


def test_another_deployments_key_proves_nothing_here() -> None:
    other = TokenSigner(Ed25519PrivateKey.generate(), IdSource(ManualClock()), lifetime_s=LIFETIME_S)
    assert_refused(other.sign(USER, DEVICE, NOW_MS))
    both = TokenVerifier([SIGNER.verifying_key, other.verifying_key])
    assert both.verify(other.sign(USER, DEVICE, NOW_MS), NOW_MS) == both.verify(TOKEN, NOW_MS)


def test_a_key_id_is_the_thumbprint_of_the_key() -> None:
    # RFC 8037, appendix A.3.
    raw = urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    key = VerifyingKey(Ed25519PublicKey.from_public_bytes(raw))
    assert key.key_id == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_no_input_does_more_than_be_refused(token: str | bytes) -> None:
    assert_refused(token)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_no_signed_nonsense_does_more_than_be_refused(header: bytes, payload: bytes) -> None:
    assert_refused(signed(payload))
    assert_refused(signed(payload, header))
