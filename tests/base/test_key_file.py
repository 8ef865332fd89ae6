"""The key file: made once, private, and refused where it cannot be trusted."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from core.base.key_file import KeyFileUnusable, load_or_make_key


def test_the_first_start_makes_a_key_that_later_ones_find(tmp_path: Path) -> None:
    path = tmp_path / "tokens.pem"
    key = load_or_make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_make_key(path).private_bytes_raw() == key.private_bytes_raw()
    assert [file.name for file in tmp_path.iterdir()] == ["tokens.pem"]


def test_each_deployment_has_a_key_of_its_own(tmp_path: Path) -> None:
    keys = {load_or_make_key(tmp_path / name).private_bytes_raw() for name in ("one", "two")}
    assert len(keys) == 2


def test_what_a_crash_left_half_done_is_done_anew(tmp_path: Path) -> None:
    (tmp_path / "tokens.pem.new").write_bytes(b"-----BEGIN PRI")
    key = load_or_make_key(tmp_path / "tokens.pem")
    assert load_or_make_key(tmp_path / "tokens.pem").private_bytes_raw() == key.private_bytes_raw()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o601])
def test_a_key_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "tokens.pem"
    load_or_make_key(path)
    path.chmod(mode)
    with pytest.raises(KeyFileUnusable, match=f"{path}: mode {mode:04o}.*expected mode 0600"):
        load_or_make_key(path)


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_file_that_is_no_key_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokens.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileUnusable, match="not a private key"):
        load_or_make_key(path)
    assert path.read_bytes() == content


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens.pem"
    other = generate_private_key(SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    with pytest.raises(KeyFileUnusable, match="another kind"):
        load_or_make_key(path)


def test_a_path_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileUnusable, match="tokens"):
        load_or_make_key(tmp_path / "missing" / "tokens.pem")
    (tmp_path / "folder").mkdir(mode=0o700)
    with pytest.raises(KeyFileUnusable, match="folder"):
        load_or_make_key(tmp_path / "folder")
