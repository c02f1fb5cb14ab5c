"""Batches of events: how they are cut, sent and answered."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .. import models
from .._decode import decode
from .._errors import ApiError
from .._retry import retry_after

EVENTS_MAX = 1_000
BYTES_MAX = 4 * 1024 * 1024
"""Bytes of a batch before compression. The server accepts 5 MiB."""


def of_lines(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Cuts events into batches that the server takes."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == EVENTS_MAX or size + len(line) > BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield batch


def request_of(lines: Sequence[bytes]) -> dict[str, Any]:
    """The arguments of a request that sends these events."""
    return {
        "content": gzip.compress(b"\n".join(lines), compresslevel=5, mtime=0),
        "headers": {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
    }


def answer_of(status: int, headers: Mapping[str, str], content: bytes) -> models.EventBatch:
    """The verdicts of a batch; 400 holds them too, if no event was accepted.

    Raises:
        ApiError: The answer is a problem document about the request as a whole.
    """
    value = json.loads(content)
    if status < 400 or (isinstance(value, dict) and "rejected" in value):
        return decode(models.EventBatch, value)
    raise ApiError(
        status,
        title=value.get("title", ""),
        detail=value.get("detail", ""),
        errors=value.get("errors"),
        request_id=value.get("request_id"),
        retry_after=retry_after(headers),
    )
