"""What only the files can show: a deletion's words are gone from them, and no query scans a table."""

from pathlib import Path

import apsw
import pytest
import trio
from msgspec.structs import replace

from core.base.records import PageQuery, Reader
from sidecars.stores.embedded import database as database_module
from sidecars.stores.embedded.data_dir import open_data_dir
from sidecars.stores.embedded.database import open_database
from sidecars.stores.embedded.log import EmbeddedLog
from tests.contracts.people import ANN, C, append, entry

SECRET = b"the treasure lies under the old oak"


def test_the_words_of_a_deleted_text_are_gone_from_the_files(tmp_path: Path) -> None:
    body = b'{"text":"%b"}' % SECRET
    long = b'{"text":"%b"}' % (SECRET * 300)  # spills into pages of its own

    async def write(path: Path) -> None:
        async with open_database(path) as database:
            log = EmbeddedLog(database)
            await log.claim(C, 1, 0)
            await log.append(
                [append(entry(1, body=body), entry(2, body=long), entry(3, kind="edit", ref=1, body=body))]
            )
            await log.append([append(*(entry(seq) for seq in range(4, 60)))])
            assert _contains(tmp_path)
            await log.append([append(*(entry(59 + ref, kind="delete", ref=ref, body=b"{}") for ref in (1, 2)))])
            page = await log.page(PageQuery(C, Reader(ANN, 1), 3, after=0))
            assert [shown.entry.is_emptied for shown in page.entries] == [True] * 3

    with open_data_dir(tmp_path) as data_dir:
        trio.run(write, data_dir.database)
        assert not _contains(tmp_path)


def _contains(path: Path) -> bool:
    return any(SECRET in file.read_bytes() for file in path.iterdir())


def test_a_pause_wipes_the_words_while_the_store_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "STORE_REST_S", 0.001)

    async def write(path: Path) -> None:
        async with open_database(path) as database:
            log = EmbeddedLog(database)
            await log.claim(C, 1, 0)
            await log.append([append(entry(1, body=b'{"text":"%b"}' % SECRET))])
            await log.append([append(entry(2, kind="delete", ref=1))])
            while _contains(path.parent):
                assert await log.entry(C, 1) is not None

    with open_data_dir(tmp_path) as data_dir:
        trio.run(write, data_dir.database)


def test_a_device_that_is_no_uuid_comes_back_as_it_was(tmp_path: Path) -> None:
    odd = replace(entry(1), device="rest")

    async def write(path: Path) -> None:
        async with open_database(path) as database:
            log = EmbeddedLog(database)
            await log.claim(C, 1, 0)
            await log.append([append(odd)])
            assert await log.entry(C, 1) == odd

    with open_data_dir(tmp_path) as data_dir:
        trio.run(write, data_dir.database)


def test_no_query_of_the_log_scans_a_table(tmp_path: Path) -> None:
    plans: list[str] = []

    def explain(connection: apsw.Connection, sql: str) -> None:
        count = sql.count("?")
        plans.extend(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", (1,) * count))

    with open_data_dir(tmp_path) as data_dir:
        connection = apsw.Connection(str(data_dir.database))
        for sql in (
            "SELECT max(seq) FROM entry WHERE conversation = ?",
            "SELECT seq FROM entry WHERE client_id = ? AND conversation = ? AND sender = ?",
            "SELECT 1 FROM entry WHERE conversation = ? AND hidden_from = ? LIMIT 1",
            "SELECT seq FROM entry WHERE conversation = ? AND ref = ? AND kind BETWEEN 1 AND 3 AND kind = ?",
            "SELECT seq FROM entry WHERE conversation = ? AND seq BETWEEN ? AND ? ORDER BY seq DESC",
            "SELECT seq FROM entry WHERE conversation = ? AND ref BETWEEN ? AND ? AND kind BETWEEN 1 AND 3",
        ):
            explain(connection, sql)
        connection.close()
    assert plans
    assert not [plan for plan in plans if plan.startswith("SCAN")]
    assert not [plan for plan in plans if "TEMP B-TREE" in plan]
