"""Servers for the whole folder: each test brings people of its own, so that they can share."""

from collections.abc import Iterator

import pytest

from tests.security.world import UNLIMITED, Person, Target, attacked


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Rates are not limited, so that what is slow or too much is so for other reasons."""
    settings = UNLIMITED | {"TRIMARAN_ALLOWED_ORIGINS": "https://good.test"}
    with attacked(tmp_path_factory.mktemp("unlimited"), settings) as found:
        yield found


@pytest.fixture(scope="session")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Waits are short, and a user has few connections."""
    settings = UNLIMITED | {
        "TRIMARAN_LIMIT_HELLO_S": "1",
        "TRIMARAN_LIMIT_OUTBOX_STUCK_S": "2",
        "TRIMARAN_LIMIT_CONNECTIONS_PER_USER": "3",
        "TRIMARAN_LIMIT_DEVICES_PER_USER": "5",
    }
    with attacked(tmp_path_factory.mktemp("hasty"), settings) as found:
        yield found


@pytest.fixture(scope="session")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """All limits are as they come."""
    with attacked(tmp_path_factory.mktemp("limited"), {}) as found:
        yield found


@pytest.fixture(scope="session")
def somebody(target: Target) -> Person:
    """One who stays logged in, for tests that only need a good token."""
    return target.register()
