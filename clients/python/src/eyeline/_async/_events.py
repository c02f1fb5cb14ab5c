"""Events: queued, sent now, read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from .. import models
from .._decode import decode
from .._events import batches
from .._events.envelope import envelope
from .._events.queue import EventQueue, EventStats
from .._ids import new_id
from .._types import Id, Time
from ._http import AsyncHttp
from ._resource import AsyncItems, AsyncResource, present


class AsyncEvents(AsyncResource):
    """``client.events``"""

    def __init__(self, http: AsyncHttp, queue: EventQueue) -> None:
        super().__init__(http)
        self._queue = queue

    def track(
        self,
        category: str,
        name: str,
        data: Mapping[str, Any] | None = None,
        *,
        session_id: Id,
        timestamp: Time | None = None,
        visitor_id: str | None = None,
        client: Mapping[str, str] | None = None,
        place: str | None = None,
        event_id: Id | None = None,
    ) -> str | None:
        """Queues an event and returns immediately. A thread sends it, in batches of 100 or after 5 s.

        The event gets its id here, so that it counts once, however often a batch has to be sent.

        Args:
            category: Such as ``shop``; ``gallery`` for views and clicks of a gallery.
            name: Such as ``checkout``.
            data: An object of yours.
            session_id: The visitor's session, a UUID.
            timestamp: When it happened; now by default.
            visitor_id: Who the visitor is across sessions.
            client: ``ip`` and ``user_agent`` of the visitor, for galleries with a guard. Kept as a salted hash.
            place: The ``place`` of a gallery's item, for its views and clicks.
            event_id: An id of your own, a UUID.

        Returns:
            The event's id; ``None`` if the queue is full and the event was lost. :attr:`stats` counts losses.

        Raises:
            ValueError: An argument cannot be sent: no UUID, a time without a zone, data that is no JSON object.
        """
        event = envelope(
            category=category,
            name=name,
            data=data,
            session_id=session_id,
            timestamp=timestamp,
            visitor_id=visitor_id,
            client=client,
            place=place,
            event_id=event_id,
        )
        return self._queue.put(event)

    @property
    def stats(self) -> EventStats:
        """How many events were tracked, accepted, duplicates, rejected, dropped, and are waiting."""
        return self._queue.stats

    async def send(self, events: Iterable[Mapping[str, Any]]) -> models.EventBatch:
        """Sends events now and returns once they are on stable storage.

        Args:
            events: Objects with the arguments of :meth:`track`. Those without ``event_id`` get one here, those
                without ``timestamp`` happened now.

        Returns:
            ``accepted``, ``duplicates``, and ``rejected`` with the index and the errors of each.

        Raises:
            ApiError: Nothing more was taken in; an earlier part of more than 1,000 events may have been.
            NetworkError: No answer came. Sending events with the same ids again is safe.
        """
        answer = models.EventBatch(accepted=0, duplicates=0, rejected=[])
        first = 0
        for lines in batches.of_lines(envelope(**event).line for event in events):
            reply = await self._http.fetch("create_events", **batches.request_of(lines), also_fine=(400,))
            part = batches.answer_of(reply.status, reply.headers, reply.content)
            answer.accepted += part.accepted
            answer.duplicates += part.duplicates
            for rejected in part.rejected:
                rejected.index += first
                answer.rejected.append(rejected)
            first += len(lines)
        return answer

    async def create(
        self,
        category: str,
        name: str,
        data: Mapping[str, Any] | None = None,
        *,
        session_id: Id,
        timestamp: Time | None = None,
        visitor_id: str | None = None,
        client: Mapping[str, str] | None = None,
        place: str | None = None,
        event_id: Id | None = None,
    ) -> models.Event:
        """Sends one event now and returns it as it was stored. Takes the arguments of :meth:`track`.

        Raises:
            ApiError: 400 with ``errors``, also for an event that a schema rejects.
        """
        body = present(
            category=category,
            name=name,
            data=data or {},
            session_id=session_id,
            timestamp=timestamp,
            visitor_id=visitor_id,
            client=client,
            place=place,
            event_id=event_id or new_id(),
        )
        body.setdefault("timestamp", envelope(category=category, name=name, session_id=session_id).timestamp)
        reply = await self._http.fetch("create_event", json_body=body)
        return decode(models.Event, reply.json())

    def list(
        self,
        *,
        project_id: Id | None = None,
        session_id: Id | None = None,
        application: Id | None = None,
        category: str | None = None,
        name: str | None = None,
        from_: Time | None = None,
        to: Time | None = None,
        order: Literal["timestamp", "received_at"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> AsyncItems[models.EventList, models.Event]:
        """Lists events, the newest first. The admin key has to name the project.

        Args:
            project_id: The project; that of the key by default.
            session_id: Only those of this session.
            application: Only those that this application sent.
            category: Only those of this category.
            name: Only those of this name.
            from_: The first timestamp of interest.
            to: The first timestamp after those of interest.
            order: The time that is sorted by; ``timestamp`` by default.
            limit: Events of a page.
            cursor: ``next_cursor`` of an earlier page.
        """
        query = {
            "project_id": project_id,
            "session_id": session_id,
            "application": application,
            "category": category,
            "name": name,
            "from": from_,
            "to": to,
            "order": order,
            "limit": limit,
            "cursor": cursor,
        }
        return AsyncItems(
            lambda asked: self._http.call("list_events", models.EventList, query=asked),
            lambda page: page.events,
            query,
        )

    async def get(self, event_id: Id, *, application: Id | None = None) -> models.EventWithReceipt:
        """Returns an event and its state. The admin key has to name the application that sent it."""
        return await self._http.call(
            "get_event", models.EventWithReceipt, path={"event_id": event_id}, query={"application": application}
        )

    def quarantine(
        self,
        *,
        project_id: Id | None = None,
        category: str | None = None,
        name: str | None = None,
        reason: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> AsyncItems[models.QuarantineList, models.QuarantinedEvent]:
        """Lists events that were accepted but do not count, the newest first, each with its reasons."""
        query = {
            "project_id": project_id,
            "category": category,
            "name": name,
            "reason": reason,
            "limit": limit,
            "cursor": cursor,
        }
        return AsyncItems(
            lambda asked: self._http.call("list_quarantined_events", models.QuarantineList, query=asked),
            lambda page: page.events,
            query,
        )

    async def quarantine_causes(
        self,
        *,
        project_id: Id | None = None,
        category: str | None = None,
        name: str | None = None,
        reason: str | None = None,
    ) -> models.QuarantineCauseList:
        """Counts the events in quarantine by cause, the most frequent first; at most 1,000 causes."""
        query = {"project_id": project_id, "category": category, "name": name, "reason": reason}
        return await self._http.call("list_quarantine_causes", models.QuarantineCauseList, query=query)

    async def replay_quarantine(
        self,
        *,
        project_id: Id | None = None,
        category: str | None = None,
        name: str | None = None,
        reason: str | None = None,
        dry_run: bool | None = None,
        cursor: str | None = None,
    ) -> models.Replay:
        """Tries events in quarantine again, up to 20,000 a call; ``next_cursor`` continues.

        Those that fit now count from then on, once, however often this is called. ``dry_run`` changes nothing.
        """
        body = present(
            project_id=project_id, category=category, name=name, reason=reason, dry_run=dry_run, cursor=cursor
        )
        return await self._http.call("replay_quarantined_events", models.Replay, json_body=body)
