"""The one table of errors is total, and no code has two meanings."""

from typing import get_args

import pytest

from core.base.errors import GRPC_STATUS, HTTP_STATUS, Close, ErrorCode, Overloaded, Rejected, Unavailable, http_status

CODES = get_args(ErrorCode)


def test_every_code_has_an_http_and_a_grpc_status() -> None:
    assert set(HTTP_STATUS) == set(GRPC_STATUS) == set(CODES)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Rejected("bad_request", "no"), 400),
        (Rejected("bad_request", "no", field="name"), 422),
        (Rejected("conflict", "no", field="name"), 409),
        (Overloaded("no"), 429),
        (Unavailable("no"), 503),
    ],
)
def test_a_field_at_fault_makes_a_bad_request_unprocessable(error: Rejected, status: int) -> None:
    assert http_status(error) == status


def test_close_codes_are_distinct_and_their_range_tells_whether_to_reconnect() -> None:
    codes = [value for name, value in vars(Close).items() if name.isupper()]
    assert len(set(codes)) == len(codes)
    assert all(1000 <= code <= 1011 or 4000 <= code <= 4099 or 4500 <= code <= 4599 for code in codes)
