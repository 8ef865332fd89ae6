"""The outbox on disk."""

import os
import sqlite3
import stat
from pathlib import Path

import msgspec
import pytest

from tests.client.model_server import ME, OTHER
from trimaran_client import OutboxBroken, OutboxInUse
from trimaran_client.outbox import OutboxItem
from trimaran_client.storage import FileStore


def item(client_id: str) -> OutboxItem:
    return OutboxItem(client_id=client_id, conversation="g:1", body=msgspec.Raw(b'{"text": "a b"}'), ref=3)


def test_items_come_back_in_their_order_with_the_same_bytes(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "outbox")
    store.add([item("b"), item("a")])
    store.add([item("c")])
    store.remove(["a", "unknown"])
    store.close()
    again = FileStore(tmp_path / "outbox")
    assert [(kept.client_id, bytes(kept.body), kept.ref) for kept in again.load()] == [
        ("b", b'{"text": "a b"}', 3),
        ("c", b'{"text": "a b"}', 3),
    ]
    again.close()


def test_the_first_owner_stays(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "outbox")
    assert store.owner() is None
    store.set_owner(ME)
    store.set_owner(OTHER)
    store.close()
    again = FileStore(tmp_path / "outbox")
    assert again.owner() == ME
    again.close()


def test_a_file_that_another_program_has_open_is_refused(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "outbox")
    with pytest.raises(OutboxInUse, match="outbox"):
        FileStore(tmp_path / "outbox")
    store.close()
    FileStore(tmp_path / "outbox").close()


def test_only_its_user_may_read_the_file(tmp_path: Path) -> None:
    FileStore(tmp_path / "outbox").close()
    assert stat.S_IMODE(os.stat(tmp_path / "outbox").st_mode) == 0o600


def test_a_batch_that_cannot_be_written_is_not_there_at_all(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "outbox")
    store.add([item("a")])
    with pytest.raises(OutboxBroken):
        store.add([item("b"), item("a")])
    assert [kept.client_id for kept in store.load()] == ["a"]
    store.close()


def test_a_file_that_is_no_outbox_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("my diary, " * 100)
    with pytest.raises(OutboxBroken):
        FileStore(tmp_path / "outbox")
    assert (tmp_path / "outbox").read_text().startswith("my diary")


def test_it_syncs_before_it_says_that_it_is_done(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "outbox")
    assert store._db.execute("pragma synchronous").fetchone() == (2,)
    store.close()
    with sqlite3.connect(tmp_path / "outbox") as other:
        assert other.execute("pragma integrity_check").fetchone() == ("ok",)
    other.close()
