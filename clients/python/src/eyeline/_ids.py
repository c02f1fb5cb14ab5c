"""Ids of events, made where the event happens."""

from __future__ import annotations

import os
import time
from uuid import UUID


def new_id() -> str:
    """Returns a UUIDv7. It begins with the time, so that ids of one moment are neighbours in an index."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    high = (milliseconds & ((1 << 48) - 1)) << 80
    middle = (0x7 << 76) | ((random >> 62) & 0xFFF) << 64
    low = (0b10 << 62) | (random & ((1 << 62) - 1))
    return str(UUID(int=high | middle | low))
