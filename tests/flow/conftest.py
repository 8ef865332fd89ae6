"""A server for each module of this folder, and people who exist for one test only."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.harness.people import Person, register
from tests.harness.server import Server, running_server

OPEN = {
    "TRIMARAN_LIMIT_REGISTRATIONS_PER_HOUR": "0",
    "TRIMARAN_LIMIT_LOGINS_PER_HOUR": "0",
    "TRIMARAN_LIMIT_SENDS_PER_S": "0",
    "TRIMARAN_LIMIT_FRAMES_PER_S": "0",
}
"""No limits of rates: the tests of rates have servers of their own."""

NewPerson = Callable[[str], Person]

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server, for all tests of a module."""
    with running_server(tmp_path_factory.mktemp("server"), OPEN) as server:
        yield server


@pytest.fixture
def new(server: Server) -> NewPerson:
    """Makes people; two of one name are two people."""
    return lambda name: register(server.url, f"{name}{next(_numbers)}")
