"""Where queued events wait: in memory, or in a file that survives the process."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple, Protocol

LEASE_SECONDS = 60.0
"""How long a batch of the spool belongs to the process that sends it, should that die."""
BUSY_SECONDS = 2.0
"""How long an event waits for another process that writes to the spool."""
PAGE_BYTES = 4096


class Entry(NamedTuple):
    """A waiting event."""

    number: int
    line: bytes


class Store(Protocol):
    """Events in the order in which they were put. The queue calls it under its lock, except :meth:`sync`."""

    def put(self, line: bytes) -> str | None:
        """Takes an event in; returns why not, if it cannot."""

    def claim(self, events: int, size: int) -> list[Entry]:
        """Returns the first events that nobody is sending, up to a number and a sum of bytes."""

    def done(self, entries: Sequence[Entry]) -> None:
        """Removes claimed events."""

    def release(self, entries: Sequence[Entry]) -> None:
        """Gives claimed events back, to be claimed again."""

    def count(self) -> int:
        """Returns how many events wait, claimed ones too."""

    def last(self) -> int:
        """Returns the number of the newest event."""

    def passed(self, number: int) -> bool:
        """Returns whether all events up to this number are gone."""

    def sync(self) -> None:
        """Brings what was put onto stable storage."""

    def close(self) -> None:
        """Ends the use of the store; only :meth:`count` is called after it."""

    @property
    def survives(self) -> bool:
        """Whether the events outlive the process."""


class MemoryStore:
    """Events in memory, bounded by number and bytes."""

    survives = False

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._waiting: deque[Entry] = deque()
        self._bytes = 0
        self._last = 0

    def put(self, line: bytes) -> str | None:
        if len(self._waiting) >= self._max_events or self._bytes + len(line) > self._max_bytes:
            return f"the queue is full ({len(self._waiting)} events, {self._bytes} bytes)"
        self._last += 1
        self._waiting.append(Entry(self._last, line))
        self._bytes += len(line)
        return None

    def claim(self, events: int, size: int) -> list[Entry]:
        return _prefix(self._waiting, events, size)

    def done(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            # Batches end in the order in which they began.
            self._waiting.popleft()
            self._bytes -= len(entry.line)

    def release(self, entries: Sequence[Entry]) -> None:
        """They have never left."""

    def count(self) -> int:
        return len(self._waiting)

    def last(self) -> int:
        return self._last

    def passed(self, number: int) -> bool:
        return not self._waiting or self._waiting[0].number > number

    def sync(self) -> None:
        """Memory has no stable storage."""

    def close(self) -> None:
        """Memory needs no end."""


class DiskStore:
    """Events in a SQLite file, which several processes may share.

    An event is in the file when :meth:`put` returns, so that it survives the end of the process. It is on stable
    storage after the next :meth:`sync`, so that it survives a power cut.
    """

    survives = True

    def __init__(self, path: str | os.PathLike[str], max_bytes: int) -> None:
        self._path = os.fspath(path)
        self._db = self._open()
        self._db.execute(f"PRAGMA max_page_count = {max(16, max_bytes // PAGE_BYTES)}")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS events "
            "(number INTEGER PRIMARY KEY AUTOINCREMENT, line BLOB NOT NULL, leased_until REAL NOT NULL DEFAULT 0)"
        )
        self._count = self._counted()
        self._last = 0

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        return db

    def put(self, line: bytes) -> str | None:
        try:
            added = self._db.execute("INSERT INTO events (line) VALUES (?)", (line,))
        except sqlite3.Error as error:
            return f"the spool {self._path} takes nothing: {error}"
        self._last = added.lastrowid or 0
        self._count += 1
        return None

    def claim(self, events: int, size: int) -> list[Entry]:
        now = time.time()
        self._db.execute("BEGIN IMMEDIATE")
        try:
            # A clock that was set back must not hold a batch for longer than a lease.
            free = "SELECT number, line FROM events WHERE leased_until < ? OR leased_until > ? ORDER BY number LIMIT ?"
            rows = self._db.execute(free, (now, now + LEASE_SECONDS, events))
            entries = _prefix([Entry(*row) for row in rows], events, size)
            self._lease(entries, now + LEASE_SECONDS)
        finally:
            self._db.execute("COMMIT")
        if len(entries) < events:
            self._count = self._counted()
        return entries

    def done(self, entries: Sequence[Entry]) -> None:
        self._db.executemany("DELETE FROM events WHERE number = ?", [(entry.number,) for entry in entries])
        self._count = max(0, self._count - len(entries))

    def release(self, entries: Sequence[Entry]) -> None:
        self._lease(entries, 0)

    def _lease(self, entries: Sequence[Entry], until: float) -> None:
        leases = [(until, entry.number) for entry in entries]
        self._db.executemany("UPDATE events SET leased_until = ? WHERE number = ?", leases)

    def count(self) -> int:
        return self._count

    def _counted(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM events").fetchone()[0])

    def last(self) -> int:
        return self._last

    def passed(self, number: int) -> bool:
        row = self._db.execute("SELECT 1 FROM events WHERE number <= ? LIMIT 1", (number,)).fetchone()
        return row is None

    def sync(self) -> None:
        # On a connection of its own, so that the file can be written to meanwhile.
        with closing(self._open()) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        self._db.close()


def _prefix(entries: Sequence[Entry] | deque[Entry], events: int, size: int) -> list[Entry]:
    """The first entries, as many as fit; at least one."""
    taken: list[Entry] = []
    for entry in entries:
        size -= len(entry.line) + 1
        if len(taken) == events or (size < 0 and taken):
            break
        taken.append(entry)
    return taken
