"""Files to upload: from a path, from bytes, or from an open file."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import IO

from ._types import FileSource, Progress

BLOCK_BYTES = 256 * 1024
PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".heic", ".heif", ".avif"})
"""Extensions of the pictures in a folder."""


class Source:
    """A file whose size is known and that can be read again from any place."""

    def __init__(self, source: FileSource, filename: str | None = None) -> None:
        self._bytes: bytes | None = None
        self._file: IO[bytes] | None = None
        self._file_lock = Lock()
        self._path: Path | None = None
        self._sha256: str | None = None
        if isinstance(source, (bytes, bytearray, memoryview)):
            self._bytes = bytes(source)
            self.size = len(self._bytes)
            name = "upload"
        elif isinstance(source, (str, os.PathLike)):
            self._path = Path(source)
            self.size = self._path.stat().st_size
            name = self._path.name
        else:
            if not source.seekable():
                raise ValueError("The file cannot seek: pass its bytes, or a path.")
            self._file = source
            self.size = source.seek(0, io.SEEK_END)
            named = getattr(source, "name", None)
            name = Path(named).name if isinstance(named, str) and named else "upload"
        self.filename = filename or name

    def blocks(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yields ``length`` bytes from ``start`` on; to the end by default."""
        left = self.size - start if length is None else length
        with self._opened() as file:
            position = start
            while left > 0:
                block = self._read(file, position, min(left, BLOCK_BYTES))
                if not block:
                    raise OSError(f"{self.filename} became shorter while it was read.")
                position += len(block)
                left -= len(block)
                yield block

    def read(self) -> bytes:
        """Returns the whole file."""
        return self._bytes if self._bytes is not None else b"".join(self.blocks())

    def sha256(self) -> str:
        """Returns the hash in hexadecimal. Reads the file once."""
        if self._sha256 is None:
            digest = hashlib.sha256()
            for block in self.blocks():
                digest.update(block)
            self._sha256 = digest.hexdigest()
        return self._sha256

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        if self._path is not None:
            with self._path.open("rb") as file:
                yield file
        elif self._bytes is not None:
            yield io.BytesIO(self._bytes)
        elif self._file is not None:
            yield self._file

    def _read(self, file: IO[bytes], position: int, length: int) -> bytes:
        # Several readers may share one open file, each at a place of its own.
        with self._file_lock:
            file.seek(position)
            return file.read(length)


class Counter:
    """Adds up what was sent of one or several files, and tells it."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total = total
        self._progress = progress
        self._sent = 0
        self._lock = Lock()

    def add(self, count: int) -> None:
        """Adds bytes; a negative count takes those of a failed attempt back."""
        if self._progress is None or count == 0:
            return
        with self._lock:
            self._sent += count
            self._progress(self._sent, self._total)

    def counted(self, blocks: Callable[[], Iterator[bytes]]) -> Callable[[], Iterator[bytes]]:
        """Returns a function that yields the blocks anew for each attempt and counts those that were taken.

        The next attempt takes the count of the failed one back.
        """
        sent = 0

        def attempt() -> Iterator[bytes]:
            nonlocal sent
            self.add(-sent)
            sent = 0
            for block in blocks():
                yield block
                sent += len(block)
                self.add(len(block))

        return attempt


def pictures_of(folder: Path) -> list[Path]:
    """Returns the pictures of a folder and of the folders in it, by name. Hidden files are left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    shown = (path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    return sorted(path for path in shown if path.is_file())
