"""Sends queued events from a thread of its own, until they are on the server's stable storage."""

from __future__ import annotations

import atexit
import logging
import os
import sqlite3
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from .._errors import ApiError, EyelineError, NetworkError
from .._requests import Settings
from .._retry import backoff
from .._sync._http import Http
from . import batches
from .envelope import Envelope
from .stores import DiskStore, MemoryStore, Store

log = logging.getLogger("eyeline.events")

HOPELESS = frozenset({400, 415, 422})
"""Statuses of a whole batch that another attempt would not change."""
REQUEST_SECONDS = 10.0
"""Seconds of silence after which a batch is sent again."""
SYNC_SECONDS = 1.0
"""Seconds between two syncs of the spool to stable storage."""
SHARED_SECONDS = 0.25
"""Seconds until a spool whose events other processes are sending is read again."""
TOLD_SECONDS = 10.0
"""Seconds between two log lines about the same failure."""


@dataclass(frozen=True)
class EventOptions:
    """How events are queued.

    Attributes:
        batch_events: Events of a batch; it is sent as soon as so many wait.
        interval: Seconds after which a smaller batch is sent.
        max_events: Events that may wait in memory; further ones are lost.
        max_bytes: Bytes that may wait in memory.
        spool: The path of a file in which events wait instead, so that they survive a restart and a server that is out
            for long. Processes may share it; use one file for each server and application. An event is in the file when
            ``track`` returns, and on stable storage within seconds.
        spool_max_bytes: Bytes that may wait in the file.
        exit_timeout: Seconds that the end of the program waits for events to be sent.
    """

    batch_events: int = 100
    interval: float = 5.0
    max_events: int = 10_000
    max_bytes: int = 16 * 1024 * 1024
    spool: str | os.PathLike[str] | None = None
    spool_max_bytes: int = 256 * 1024 * 1024
    exit_timeout: float = 5.0

    def __post_init__(self) -> None:
        if not 1 <= self.batch_events <= batches.EVENTS_MAX:
            raise ValueError(f"batch_events has to be 1 to {batches.EVENTS_MAX}.")
        if self.interval <= 0 or self.max_events < 1 or self.max_bytes < 1:
            raise ValueError("interval, max_events and max_bytes have to be above 0.")


@dataclass(frozen=True)
class EventStats:
    """Counts of one process since its start.

    Attributes:
        tracked: Events handed to ``track``.
        accepted: Events that the server stored.
        duplicates: Events that the server had already; a batch whose answer was lost is sent again.
        rejected: Events that the server refused, lost. The log names the reasons.
        dropped: Events that were never sent, lost: the queue was full, or the program ended without the server.
        waiting: Events in the queue.
        retries: Batches that were sent again.
        last_error: The last trouble, in one sentence.
    """

    tracked: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    dropped: int = 0
    waiting: int = 0
    retries: int = 0
    last_error: str | None = None


class Failure(NamedTuple):
    """A batch that has to be sent again."""

    reason: str
    wait: float | None


class EventQueue:
    """The events of one client."""

    def __init__(self, settings: Settings, options: EventOptions) -> None:
        spool = None if options.spool is None else os.path.abspath(options.spool)
        self._options = replace(options, spool=spool)
        self._settings = replace(settings, timeout=min(settings.timeout, REQUEST_SECONDS), retry_for=0.0)
        self._begin()
        if hasattr(os, "register_at_fork"):
            reference = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: EventQueue._forked(reference()))
        with self._changed:
            # A spool may hold events of an earlier process.
            if self._store.count():
                self._hurry = True
                self._start()

    def _begin(self) -> None:
        """Everything that a process has of its own."""
        options = self._options
        self._http = Http(self._settings)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stats = EventStats()
        self._waiting_since: float | None = None
        self._hurry = False
        self._ends_at: float | None = None
        self._synced_at = time.monotonic()
        self._told: dict[str, float] = {}
        self._store: Store = (
            MemoryStore(options.max_events, options.max_bytes)
            if options.spool is None
            else DiskStore(options.spool, options.spool_max_bytes)
        )

    @staticmethod
    def _forked(queue: EventQueue | None) -> None:
        """In a new process: what waits in memory belongs to the parent, and so do its locks, thread and connections."""
        if queue is not None:
            queue._inherited = (queue._store, queue._http)  # type: ignore[attr-defined] # never closed by the child
            queue._begin()

    @property
    def stats(self) -> EventStats:
        """The counts so far."""
        with self._changed:
            return replace(self._stats, waiting=self._store.count())

    def put(self, event: Envelope) -> str | None:
        """Queues an event; returns its id, or ``None`` if it was lost."""
        with self._changed:
            self._add(tracked=1)
            refusal = "the client is closed" if self._ends_at is not None else self._store.put(event.line)
            if refusal is not None:
                self._add(dropped=1)
                self._tell(refusal, "An event was lost: %s.", refusal)
                return None
            if self._waiting_since is None:
                self._waiting_since = time.monotonic()
                self._changed.notify_all()
            elif self._store.count() >= self._options.batch_events:
                self._changed.notify_all()
            self._start()
        return event.event_id

    def flush(self, timeout: float) -> bool:
        """Sends what was tracked before; returns whether all of it got through or was refused within the timeout."""
        with self._changed:
            if self._ends_at is not None:
                return self._store.count() == 0
            last = self._store.last()
            if self._store.passed(last):
                return True
            self._hurry = True
            self._start()
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._store.passed(last), timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Sends what waits, within the timeout, and ends. Returns whether nothing was left.

        What is left in memory is lost, and counted; what is left in a spool is sent by the next process.
        """
        timeout = self._options.exit_timeout if timeout is None else timeout
        atexit.unregister(self.close)
        with self._changed:
            if self._ends_at is not None:
                return self._store.count() == 0
            self._ends_at = time.monotonic() + timeout
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread.is_alive():
            # A little longer, so that the thread can write down that it gave up.
            thread.join(timeout + 0.5)
        else:
            # While the interpreter ends, no thread can be started.
            self._work()
        with self._changed:
            left = self._store.count()
            if left and not self._store.survives:
                self._add(dropped=left)
                log.warning(
                    "%d events were lost: they were not sent before the end. %s", left, self._stats.last_error or ""
                )
            elif left:
                log.info("%d events wait in the spool for the next start.", left)
        return left == 0

    def _start(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        self._thread = threading.Thread(target=self._work, name="eyeline-events", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            # The interpreter is ending; close() sends what waits.
            self._thread = None
        atexit.unregister(self.close)
        atexit.register(self.close)
        multiprocessing = sys.modules.get("multiprocessing.util")
        if multiprocessing is not None:
            # A process of multiprocessing ends without atexit.
            multiprocessing.Finalize(None, self.close, exitpriority=10)

    def _work(self) -> None:
        try:
            self._run()
        finally:
            if self._ends_at is not None:
                self._http.close()
                self._store.close()

    def _run(self) -> None:
        failed = 0
        while True:
            with self._changed:
                self._wait_until_due()
                if self._is_over() or (self._ends_at is not None and not self._store.count()):
                    return
                try:
                    entries = self._store.claim(self._options.batch_events, batches.BYTES_MAX)
                except sqlite3.Error as error:
                    failed = self._failed(Failure(f"the spool cannot be read: {error}", None), failed)
                    continue
                if not entries:
                    # Other processes are sending what is left, or have sent it.
                    if self._ends_at is not None:
                        return
                    self._sent()
                    if self._waiting_since is not None:
                        self._changed.wait(SHARED_SECONDS)
                    continue
            failure = self._try([entry.line for entry in entries])
            with self._changed:
                try:
                    if failure is None:
                        self._store.done(entries)
                    else:
                        self._store.release(entries)
                except sqlite3.Error as error:
                    # They are sent again when their lease ends; the server knows their ids.
                    failure = failure or Failure(f"the spool cannot be written to: {error}", None)
                failed = 0 if failure is None else self._failed(failure, failed)
                self._sent()

    def _sent(self) -> None:
        """Looks at what is left, after something was sent."""
        self._waiting_since = time.monotonic() if self._store.count() else None
        self._hurry = self._hurry and self._waiting_since is not None
        self._changed.notify_all()

    def _failed(self, failure: Failure, before: int) -> int:
        """Tells of a failed attempt and waits; returns how many have failed now."""
        self._add(retries=1)
        self._tell(failure.reason, "Events cannot be sent, and are kept: %s", failure.reason)
        self._pause((failure.wait or 0.0) + backoff(before))
        return before + 1

    def _wait_until_due(self) -> None:
        """Waits until a batch is to be sent or the queue is to end."""
        while True:
            self._sync_when_due()
            waiting = self._store.count()
            if self._ends_at is not None or (waiting and (self._hurry or waiting >= self._options.batch_events)):
                return
            left: float | None = None
            if waiting and self._waiting_since is not None:
                left = self._waiting_since + self._options.interval - time.monotonic()
                if left <= 0:
                    return
            if waiting and self._store.survives:
                left = SYNC_SECONDS if left is None else min(left, SYNC_SECONDS)
            self._changed.wait(left)

    def _sync_when_due(self) -> None:
        now = time.monotonic()
        if not self._store.survives or self._waiting_since is None or now < self._synced_at + SYNC_SECONDS:
            return
        self._synced_at = now
        self._changed.release()
        try:
            self._store.sync()
        except sqlite3.Error as error:
            self._tell("sync", "The spool could not be brought onto stable storage: %s", error)
        finally:
            self._changed.acquire()

    def _pause(self, seconds: float) -> None:
        """Waits before another attempt; not beyond the end."""
        until = time.monotonic() + seconds
        ending = self._ends_at is not None
        while (left := until - time.monotonic()) > 0 and not self._is_over():
            self._sync_when_due()
            if self._store.survives:
                left = min(left, SYNC_SECONDS)
            if self._ends_at is not None:
                if not ending:
                    # One attempt at once when the end begins.
                    return
                left = min(left, self._ends_at - time.monotonic())
            self._changed.wait(left)

    def _is_over(self) -> bool:
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def _try(self, lines: Sequence[bytes]) -> Failure | None:
        """Sends a batch once; ``None`` if it is dealt with."""
        try:
            reply = self._http.fetch("create_events", **batches.request_of(lines), also_fine=(400,))
            answer = batches.answer_of(reply.status, reply.headers, reply.content)
        except ApiError as error:
            if error.status == 413 and len(lines) > 1:
                middle = len(lines) // 2
                return self._try(lines[:middle]) or self._try(lines[middle:])
            if error.status not in HOPELESS and error.status != 413:
                return Failure(str(error), error.retry_after)
            with self._changed:
                self._add(rejected=len(lines))
            log.error("%d events were refused and are lost: %s", len(lines), error)
            return None
        except NetworkError as error:
            return Failure(str(error), None)
        except (EyelineError, ValueError) as error:
            return Failure(f"The answer cannot be read: {error}", None)
        with self._changed:
            self._add(accepted=answer.accepted, duplicates=answer.duplicates, rejected=len(answer.rejected))
        if answer.rejected:
            first = answer.rejected[0]
            log.warning("%d events were refused and are lost; the first one: %s", len(answer.rejected), first.errors)
        return None

    def _add(self, **counts: int) -> None:
        sums = {name: getattr(self._stats, name) + count for name, count in counts.items()}
        self._stats = replace(self._stats, **sums)

    def _tell(self, kind: str, message: str, *arguments: object) -> None:
        """Writes to the log, not more often than every 10 s about the same trouble."""
        self._stats = replace(self._stats, last_error=message % arguments)
        now = time.monotonic()
        if now >= self._told.get(kind, -TOLD_SECONDS) + TOLD_SECONDS:
            self._told = {kind: now, **{other: at for other, at in self._told.items() if now < at + TOLD_SECONDS}}
            log.warning(message, *arguments)
