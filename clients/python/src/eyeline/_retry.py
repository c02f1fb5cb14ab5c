"""Decides whether and when a request is sent again. Does no I/O."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

BACKOFF_FIRST = 0.25
"""Seconds before the second attempt, before jitter."""
BACKOFF_MAX = 8.0
"""Seconds between attempts at the most, unless the server asks for more."""

REFUSED_FOR_NOW = frozenset({429, 503})
"""The server did nothing: the same request may be sent again, whatever it does."""
FAILED_ON_THE_WAY = frozenset({408, 500, 502, 504})
"""The server may have done something: only a repeatable request is sent again."""


def backoff(attempt: int, longest: float = BACKOFF_MAX) -> float:
    """Returns the seconds to wait after failed attempt number ``attempt`` (from 0): exponential, with jitter.

    The jitter covers the upper half, so that clients of a server that restarts spread, and none hurries.
    """
    limit = min(longest, BACKOFF_FIRST * float(2 ** min(attempt, 16)))
    return limit * random.uniform(0.5, 1.0)  # noqa: S311 - no secret depends on it


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds of a ``Retry-After`` header: a number or a date. ``None`` if there is none or it is wrong."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())


class Attempts:
    """The attempts of one request, until a deadline.

    Args:
        seconds: How long attempts may follow each other. 0 allows one attempt.
        repeatable: Whether doing the same twice is harmless, so that a lost answer allows another attempt.
    """

    def __init__(self, seconds: float, repeatable: bool) -> None:
        self._deadline = time.monotonic() + seconds
        self._repeatable = repeatable
        self._failed = 0

    def after_status(self, status: int, headers: Mapping[str, str]) -> float | None:
        """Returns the seconds until the next attempt, or ``None`` if this answer is final."""
        if status in REFUSED_FOR_NOW or (status in FAILED_ON_THE_WAY and self._repeatable):
            return self._next(retry_after(headers))
        return None

    def after_network_error(self, sent: bool) -> float | None:
        """Returns the seconds until the next attempt, or ``None``. ``sent`` is false if no byte reached the server."""
        return self._next(None) if self._repeatable or not sent else None

    def _next(self, asked: float | None) -> float | None:
        wait = backoff(self._failed)
        if asked is not None:
            # Never before the server wants it; the jitter keeps clients that were refused together apart.
            wait = asked + wait * 0.25
        self._failed += 1
        return wait if time.monotonic() + wait <= self._deadline else None
