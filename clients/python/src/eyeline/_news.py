"""News of a project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class News:
    """One message of a project's stream.

    Attributes:
        type: ``image.state``, ``events.quarantined``, ``gallery.order``, ``reset``, or a type of a newer server.
            ``reset`` says that news are missing: read again what you show.
        seq: Rises by one within a project. ``None`` for hints (``gallery.order``), which may be missed.
        image_id: The image that the news is about.
        gallery_id: The gallery that the news is about.
        state: The new state of the image.
        error: Why the image ended in the state ``error``.
        data: The whole message.
    """

    type: str
    seq: int | None
    image_id: str | None
    gallery_id: str | None
    state: str | None
    error: str | None
    data: Mapping[str, Any]

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> News:
        """Makes news of a message."""
        return cls(
            type=message.get("type", ""),
            seq=message.get("seq"),
            image_id=message.get("image_id"),
            gallery_id=message.get("gallery_id"),
            state=message.get("state"),
            error=message.get("error"),
            data=message,
        )
