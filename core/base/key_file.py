"""The key that signs access tokens, in a file that only its owner may read; made at the first start.

It blocks, so it is for before the loop runs. The key itself comes from the operating system, through `cryptography`,
whatever IdSource the process has.
"""

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key


class KeyFileUnusable(Exception):
    """The key file cannot be used; the message names it, what was found and what was expected."""

    def __init__(self, path: Path, found: str, expected: str) -> None:
        super().__init__(f"key file {path}: {found}; expected {expected}")


def load_or_make_key(path: Path) -> Ed25519PrivateKey:
    """The key in `path`; if there is no such file, a new key, which is then durably there with mode 0600.

    For one process at a time (the lock of the data directory sees to it).
    Raises: KeyFileUnusable.
    """
    try:
        return _load(path) if path.exists() else _make(path)
    except OSError as error:
        raise KeyFileUnusable(path, error.strerror or str(error), "a file that can be read and written") from error


def _load(path: Path) -> Ed25519PrivateKey:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KeyFileUnusable(path, f"mode {mode:04o}, so that others can read or change it", "mode 0600")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileUnusable(path, "not a private key in PEM", "one made by Trimaran") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileUnusable(path, "a key of another kind", "an Ed25519 key")
    return key


def _make(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # Written beside and moved: a crash leaves a whole key or none, since half a key would stop every later start.
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(descriptor)
    fresh.rename(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return key
