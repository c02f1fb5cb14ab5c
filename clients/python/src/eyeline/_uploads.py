"""What an upload of many files says about each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ._files import Source, pictures_of
from ._types import FileSource

PARTS_ABOVE = 16 * 1024 * 1024
"""Bytes of a file above which it is sent in parts, where the server takes parts."""


@dataclass
class UploadOutcome:
    """The outcome of one file of :meth:`images.upload_many`.

    Attributes:
        source: The file, as it was given; a path for a file of a folder.
        filename: Its name.
        verdict: ``done``, or ``uploaded`` if nobody waited for the versions.
            ``duplicate``, ``repeated``, ``over_quota``, ``too_large``, ``wrong_type``, ``invalid``: refused before a
            byte moved.
            ``unreadable``: it cannot be read here. ``interrupted``: it did not arrive within the time for attempts.
            ``error``: it is no picture that can be decoded. ``processing``: not done within the timeout.
        detail: What is wrong, in one sentence; empty for ``done``.
        errors: For ``invalid``, sentences by field.
        image_id: The image; for ``duplicate``, the one that is there already.
    """

    source: FileSource
    filename: str
    verdict: str = "uploaded"
    detail: str = ""
    errors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    image_id: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the picture is there: sent now, or before."""
        return self.verdict in ("done", "uploaded", "duplicate", "repeated")


@dataclass
class Sending:
    """A file on its way."""

    verdict: UploadOutcome
    source: Source


def sources_of(files: FileSource | Iterable[FileSource]) -> list[FileSource]:
    """The files that are meant: those of a folder, a single one, or those of a list."""
    if isinstance(files, (str, Path)) and Path(files).is_dir():
        return list(pictures_of(Path(files)))
    if isinstance(files, (str, bytes, bytearray, Path)) or hasattr(files, "read"):
        return [files]  # type: ignore[list-item]
    return list(files)  # type: ignore[arg-type]


def file_of_batch(source: Source) -> dict[str, Any]:
    """What the server is told of a file. Reads it once."""
    told: dict[str, Any] = {"filename": source.filename, "size": source.size, "sha256": source.sha256()}
    if source.size > PARTS_ABOVE:
        told["multipart"] = True
    return told
