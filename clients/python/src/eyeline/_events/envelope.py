"""One event, checked and written as the line that is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple
from uuid import UUID

from .._decode import encode, encode_time
from .._ids import new_id
from .._types import Id, Time

LINE_BYTES_MAX = 128 * 1024
"""The most bytes of an event that the server accepts."""


class Envelope(NamedTuple):
    """An event that is ready to be sent."""

    event_id: str
    timestamp: str
    line: bytes


def envelope(
    *,
    category: str,
    name: str,
    session_id: Id,
    data: Mapping[str, Any] | None = None,
    timestamp: Time | None = None,
    visitor_id: str | None = None,
    client: Mapping[str, str] | None = None,
    place: str | None = None,
    event_id: Id | None = None,
) -> Envelope:
    """Writes an event. What may change later, like ``data``, is fixed by this.

    Raises:
        ValueError: An argument cannot be sent.
    """
    for field, text in (("category", category), ("name", name)):
        if not isinstance(text, str) or not text:
            raise ValueError(f"{field} has to be a text that is not empty.")
    if data is not None and not isinstance(data, Mapping):
        raise ValueError("data has to be an object (a dict).")
    moment = datetime.now(timezone.utc) if timestamp is None else timestamp
    event = {
        "event_id": _uuid("event_id", event_id) if event_id is not None else new_id(),
        "session_id": _uuid("session_id", session_id),
        "category": category,
        "name": name,
        "timestamp": encode_time(moment) if isinstance(moment, datetime) else moment,
        "data": data or {},
    }
    optional = {"visitor_id": visitor_id, "client": client, "place": place}
    event.update((field, value) for field, value in optional.items() if value is not None)
    try:
        line = json.dumps(encode(event), separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"The event {category}/{name} cannot be sent as JSON: {error}") from error
    if len(line) > LINE_BYTES_MAX:
        raise ValueError(f"The event {category}/{name} has {len(line)} bytes; at most {LINE_BYTES_MAX} are taken.")
    return Envelope(str(event["event_id"]), str(event["timestamp"]), line)


def _uuid(field: str, value: Id) -> str:
    try:
        return str(value if isinstance(value, UUID) else UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise ValueError(f"{field} has to be a UUID, not {value!r}.") from None
