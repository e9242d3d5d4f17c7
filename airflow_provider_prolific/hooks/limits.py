"""How much time, size and memory a call may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of a call, whatever the server sends.

    :param attempt_seconds: The time of one request and its whole answer.
    :param connect_seconds: The time of the connection alone, including its TLS handshake.
    :param body_bytes: The size of one answer.
    :param memory_bytes: The memory of the parsed JSON, for all pages of a listing together.
    :param listing_rows: The rows of all pages of a listing.
    :param listing_seconds: The time of all pages of a listing.
    :param rate_limit_seconds: How long to wait out a rate limit, or a pause that the API asks for.
    :param outage_seconds: How long to wait out other temporary errors.
    """

    attempt_seconds: float = 60
    connect_seconds: float = 10
    body_bytes: int = 16 * 1024 * 1024
    memory_bytes: int = 128 * 1024 * 1024
    listing_rows: int = 100_000
    listing_seconds: float = 600
    rate_limit_seconds: float = 300
    outage_seconds: float = 60
