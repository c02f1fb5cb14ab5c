"""Event types: the schemas of the data of events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from .. import models
from .._types import Id
from ._resource import AsyncItems, AsyncResource, present


class AsyncEventTypes(AsyncResource):
    """``client.event_types``. The admin key has to name the project."""

    def list(
        self, *, project_id: Id | None = None, limit: int | None = None, cursor: str | None = None
    ) -> AsyncItems[models.EventTypeList, models.EventType]:
        """Lists the event types of a project, by category and name."""
        return AsyncItems(
            lambda query: self._http.call("list_event_types", models.EventTypeList, query=query),
            lambda page: page.event_types,
            {"project_id": project_id, "limit": limit, "cursor": cursor},
        )

    async def put(
        self,
        category: str,
        name: str,
        *,
        schema: Mapping[str, Any] | None = None,
        on_invalid: Literal["reject", "quarantine"] | None = None,
        description: str | None = None,
        project_id: Id | None = None,
    ) -> models.EventType:
        """Creates or replaces an event type. A changed schema gets the next version.

        Args:
            category: Of the events.
            name: Of the events.
            schema: JSON Schema 2020-12 of their ``data``, at most 64 KiB. Without one any object fits.
            on_invalid: ``reject`` answers 400; ``quarantine`` (the default) keeps the event with the reasons.
            description: For people.
            project_id: Required with the admin key.

        Raises:
            ApiError: 400 with ``errors`` by place in the schema.
        """
        return await self._http.call(
            "put_event_type",
            models.EventType,
            path={"category": category, "name": name},
            query={"project_id": project_id},
            json_body=present(schema=schema, on_invalid=on_invalid, description=description),
        )

    async def get(
        self, category: str, name: str, *, version: int | None = None, project_id: Id | None = None
    ) -> models.EventType:
        """Returns an event type, with an older version of its schema if one is named."""
        return await self._http.call(
            "get_event_type",
            models.EventType,
            path={"category": category, "name": name},
            query={"version": version, "project_id": project_id},
        )

    async def delete(self, category: str, name: str, *, project_id: Id | None = None) -> None:
        """Deletes an event type. After that, its events may hold any data."""
        await self._http.fetch(
            "delete_event_type", path={"category": category, "name": name}, query={"project_id": project_id}
        )

    async def check(
        self, category: str, name: str, data: Mapping[str, Any], *, project_id: Id | None = None
    ) -> models.EventDataVerdict:
        """Checks data against the schema of its type, and returns the errors. Stores nothing."""
        return await self._http.call(
            "try_event_type",
            models.EventDataVerdict,
            path={"category": category, "name": name},
            query={"project_id": project_id},
            json_body={"data": data},
        )
