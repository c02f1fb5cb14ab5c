"""Questions about the events of a project."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any, Literal

from .. import models
from .._sql import ARROW, SqlResult
from .._types import Id, Time
from ._resource import AsyncResource, present

QUESTION_SECONDS = 60.0
"""Of silence: a question may take 30 s, and wait before."""

Interval = Literal["hour", "day", "week", "month", "all"]


class AsyncAnalytics(AsyncResource):
    """``client.analytics``. The admin key has to name the project; with another key it is the key's own."""

    async def counts(
        self,
        *,
        project_id: Id | None = None,
        from_: Time | None = None,
        to: Time | None = None,
        application: Id | None = None,
        timezone: str | None = None,
        category: str | None = None,
        name: str | None = None,
        interval: Interval | None = None,
        group_by: Sequence[str] | str | None = None,
        sessions: bool | None = None,
    ) -> models.CountReport:
        """Counts events over time, and their sessions.

        Args:
            project_id: The project.
            from_: The first timestamp of interest.
            to: The first timestamp after those of interest.
            timezone: The time zone of hours and days, such as ``Europe/Berlin``; UTC by default.
            application: Only events of this application.
            category: Only events of this category.
            name: Only events of this name.
            interval: The length of a bucket: ``day`` by default; ``all`` for one bucket.
            group_by: Some of ``application``, ``category`` and ``name``.
            sessions: False leaves the number of sessions out, which is faster.

        Returns:
            ``rows`` with ``bucket``, the fields of ``group_by``, ``count``, ``sessions``; ``as_of``; ``served_from``.

        Raises:
            ApiError: 400 with ``errors``; 422 if the answer has too many rows.
        """
        query = self._scope(project_id, from_, to, timezone, application, category, name)
        query.update(interval=interval, group_by=group_by, sessions=sessions)
        return await self._http.call("count_events", models.CountReport, query=query, timeout=QUESTION_SECONDS)

    async def features(
        self,
        *,
        project_id: Id | None = None,
        from_: Time | None = None,
        to: Time | None = None,
        application: Id | None = None,
        timezone: str | None = None,
        category: str | None = None,
        name: str | None = None,
        order: Literal["most", "least"] | None = None,
        limit: int | None = None,
    ) -> models.FeatureReport:
        """Which types of events are sent most, or least; declared types without any event too."""
        query = self._scope(project_id, from_, to, timezone, application, category, name)
        query.update(order=order, limit=limit)
        return await self._http.call("list_features", models.FeatureReport, query=query, timeout=QUESTION_SECONDS)

    async def paths(
        self,
        *,
        project_id: Id | None = None,
        from_: Time | None = None,
        to: Time | None = None,
        application: Id | None = None,
        timezone: str | None = None,
        category: str | None = None,
        name: str | None = None,
        depth: int | None = None,
        anchor: Literal["any", "start", "end"] | None = None,
        start: str | None = None,
        end: str | None = None,
        limit: int | None = None,
    ) -> models.PathReport:
        """The most common sequences of events within sessions, which are split after 30 minutes of silence.

        Args:
            project_id: The project; the next six are those of :meth:`counts`.
            from_: The first timestamp of interest.
            to: The first timestamp after those of interest.
            timezone: The time zone of hours and days, such as ``Europe/Berlin``; UTC by default.
            application: Only events of this application.
            category: Only events of this category.
            name: Only events of this name.
            depth: Steps of a path, 2 to 5; 3 by default.
            anchor: ``start`` for the first steps of visits, ``end`` for their last.
            start: Only paths that begin with this ``category/name``.
            end: Only paths that end with this ``category/name``.
            limit: Rows: 20 by default, at most 1,000.
        """
        query = self._scope(project_id, from_, to, timezone, application, category, name)
        query.update(depth=depth, anchor=anchor, start=start, end=end, limit=limit)
        return await self._http.call("list_paths", models.PathReport, query=query, timeout=QUESTION_SECONDS)

    async def funnel(
        self,
        steps: Sequence[str] | str,
        *,
        project_id: Id | None = None,
        from_: Time | None = None,
        to: Time | None = None,
        application: Id | None = None,
        timezone: str | None = None,
        category: str | None = None,
        name: str | None = None,
        within: str | None = None,
    ) -> models.FunnelReport:
        """Counts the sessions that get from step to step.

        Args:
            steps: ``category/name`` each, at most 100. A backslash goes before a slash or comma that is part of a name.
            project_id: The project; the next six are those of :meth:`counts`.
            from_: The first timestamp of interest.
            to: The first timestamp after those of interest.
            timezone: The time zone of hours and days, such as ``Europe/Berlin``; UTC by default.
            application: Only events of this application.
            category: Only events of this category.
            name: Only events of this name.
            within: The time from the first step to the last, such as ``30m`` (the default), ``45s``, ``2h``, ``1d``.
        """
        query = self._scope(project_id, from_, to, timezone, application, category, name)
        query.update(steps=steps, within=within)
        return await self._http.call("get_funnel", models.FunnelReport, query=query, timeout=QUESTION_SECONDS)

    async def retention(
        self,
        *,
        project_id: Id | None = None,
        from_: Time | None = None,
        to: Time | None = None,
        application: Id | None = None,
        timezone: str | None = None,
        category: str | None = None,
        name: str | None = None,
        period: Literal["day", "week", "month"] | None = None,
    ) -> models.RetentionReport:
        """Who comes back: visitors by the period of their first event, and how many were seen in each later one.

        Visitors are told apart by ``visitor_id``; ``note`` says so if events lack it.
        """
        query = self._scope(project_id, from_, to, timezone, application, category, name)
        query.update(period=period)
        return await self._http.call("get_retention", models.RetentionReport, query=query, timeout=QUESTION_SECONDS)

    async def gallery(
        self,
        gallery_id: Id,
        *,
        project_id: Id | None = None,
        from_: Time | None = None,
        to: Time | None = None,
        application: Id | None = None,
        timezone: str | None = None,
        category: str | None = None,
        name: str | None = None,
        interval: Literal["hour", "day", "week", "month"] | None = None,
        limit: int | None = None,
    ) -> models.GalleryUsage:
        """Views, clicks and click rate of a gallery by image, by position and over time; the lift of its hold-out."""
        query = self._scope(project_id, from_, to, timezone, application, category, name)
        query.update(interval=interval, limit=limit)
        path = {"gallery_id": gallery_id}
        return await self._http.call(
            "get_gallery_usage", models.GalleryUsage, path=path, query=query, timeout=QUESTION_SECONDS
        )

    async def sql(
        self,
        query: str,
        *,
        project_id: Id | None = None,
        from_: Time | None = None,
        to: Time | None = None,
        application: Id | None = None,
        timezone: str | None = None,
        category: str | None = None,
        name: str | None = None,
        limit: int | None = None,
    ) -> SqlResult:
        """Runs one SELECT over the table ``events`` of the project, in the spelling of PostgreSQL.

        Columns: ``event_id``, ``application_id``, ``session_id``, ``visitor_id``, ``category``, ``name``, ``data``,
        ``timestamp``, ``received_at``, ``schema_version``. ``data->>'field'`` gives a field as text.

        Args:
            query: The statement, at most 16 KiB.
            project_id: The project.
            from_: The table holds events from this timestamp on.
            to: The table holds events before this timestamp.
            timezone: The time zone of ``from_`` and ``to`` where they are text without an offset.
            application: The table holds events of this application.
            category: The table holds events of this category.
            name: The table holds events of this name.
            limit: Rows of the answer: 1,000 by default, at most 10,000.

        Returns:
            The answer: ``.rows``, ``.to_arrow()``, ``.to_pandas()``.

        Raises:
            ApiError: 400 with ``errors["query"]`` for a query that is wrong or takes too much time or memory.
        """
        body = present(
            **self._scope(project_id, from_, to, timezone, application, category, name), query=query, limit=limit
        )
        # Arrow keeps types and is smaller. It is asked for where it can be read.
        arrow = importlib.util.find_spec("pyarrow") is not None
        headers = {"Accept": f"{ARROW}, application/json;q=0.5" if arrow else "application/json"}
        reply = await self._http.fetch("query_events", json_body=body, headers=headers, timeout=QUESTION_SECONDS)
        return SqlResult.of(reply.headers, reply.content)

    @staticmethod
    def _scope(
        project_id: Id | None,
        from_: Time | None,
        to: Time | None,
        timezone: str | None,
        application: Id | None,
        category: str | None,
        name: str | None,
    ) -> dict[str, Any]:
        return {
            "project_id": project_id,
            "from": from_,
            "to": to,
            "timezone": timezone,
            "application": application,
            "category": category,
            "name": name,
        }
