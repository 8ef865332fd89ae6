"""What the tests of the edge share."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from core.base import logs
from core.base.clock import ManualClock


@pytest.fixture(autouse=True)
def log() -> Iterator[io.StringIO]:
    """What is logged, as JSON lines; afterwards everything is as before."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    out = io.StringIO()
    logs.configure(ManualClock(), level="debug", style="json", stream=out)
    yield out
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level
