"""Projects, their erasures and their live news."""

# Made from ``_async`` by scripts/generate.py: change that file.

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from .. import models
from .._errors import ApiError, NetworkError
from .._news import News
from .._retry import backoff
from .._types import UNSET, Id, Tier, Unset
from . import _runtime
from ._resource import Items, Resource, given, present

SILENCE = 60.0
"""Seconds after which a silent stream counts as broken; the server sends a comment every 25 s."""


class Projects(Resource):
    """``client.projects``"""

    def create(self, name: str, *, tier: Tier | None = None, idempotency_key: str | None = None) -> models.Project:
        """Creates a project. Requires the admin key.

        Raises:
            ApiError: 400 with ``errors`` for a wrong name or tier, 403 for another credential.
        """
        body = present(name=name, tier=tier)
        return self._http.call("create_project", models.Project, json_body=body, idempotency_key=idempotency_key)

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Items[models.ProjectList, models.Project]:
        """Lists projects, the newest first, ``limit`` a page. A secret key sees its own project."""
        return Items(
            lambda query: self._http.call("list_projects", models.ProjectList, query=query),
            lambda page: page.projects,
            {"limit": limit, "cursor": cursor},
        )

    def get(self, project_id: Id) -> models.Project:
        """Returns a project. Raises :class:`ApiError` 404 if it is not there or belongs to somebody else."""
        return self._http.call("get_project", models.Project, path={"project_id": project_id})

    def update(self, project_id: Id, *, name: str | Unset = UNSET, tier: Tier | Unset = UNSET) -> models.Project:
        """Changes only the given fields. A change of ``tier`` requires the admin key."""
        return self._http.call(
            "update_project", models.Project, path={"project_id": project_id}, json_body=given(name=name, tier=tier)
        )

    def delete(self, project_id: Id) -> models.Erasure:
        """Deletes a project with all that is in it. It is hidden once this returns; a job removes the rest.

        Returns the receipt of the erasure of its events. ``state`` becomes ``done`` when no file holds any.
        """
        return self._http.call("delete_project", models.Erasure, path={"project_id": project_id})

    def usage(self, project_id: Id) -> models.ProjectUsage:
        """Returns how many images, bytes and events the project holds, and the quota of its tier."""
        return self._http.call("get_project_usage", models.ProjectUsage, path={"project_id": project_id})

    def erase_session(self, project_id: Id, session_id: Id, *, idempotency_key: str | None = None) -> models.Erasure:
        """Erases the events of a session that were received until now. Requires the admin key.

        Returns once no answer shows the events. ``state`` becomes ``done`` when no file holds them.
        """
        return self._http.call(
            "create_erasure",
            models.Erasure,
            path={"project_id": project_id},
            json_body={"session_id": session_id},
            idempotency_key=idempotency_key,
        )

    def erasures(
        self, project_id: Id, *, limit: int | None = None, cursor: str | None = None
    ) -> Items[models.ErasureList, models.Erasure]:
        """Lists the receipts of erasures, the newest first. Requires the admin key."""
        path = {"project_id": project_id}
        return Items(
            lambda query: self._http.call("list_erasures", models.ErasureList, path=path, query=query),
            lambda page: page.erasures,
            {"limit": limit, "cursor": cursor},
        )

    def erasure(self, project_id: Id, erasure_id: Id) -> models.Erasure:
        """Returns the receipt of one erasure. Requires the admin key."""
        path = {"project_id": project_id, "erasure_id": erasure_id}
        return self._http.call("get_erasure", models.Erasure, path=path)

    def stream(self, project_id: Id, *, since: int | None = None) -> Iterator[News]:
        """Yields the news of a project as they come, for as long as it is iterated.

        After a broken connection it continues behind the last news, so that none is missed or repeated.

        Args:
            project_id: The project.
            since: The ``seq`` of the last news that is known. Without it the stream begins now.

        Raises:
            ApiError: 401, 403 or 404; other trouble is waited out.
        """
        failed = 0
        while True:
            try:
                path: Mapping[str, object] = {"project_id": project_id}
                with self._http.listen("open_stream", path=path, since=since, silence=SILENCE) as events:
                    for event_id, data in events:
                        failed = 0
                        since = int(event_id) if event_id.isdigit() else since
                        if data:
                            yield News.of(json.loads(data))
            except ApiError as error:
                if error.status < 500 and error.status != 429:
                    raise
            except NetworkError:
                pass
            _runtime.sleep(backoff(failed))
            failed += 1

    def stream_ticket(self, project_id: Id, *, idempotency_key: str | None = None) -> models.StreamTicket:
        """Makes a ticket with which a browser opens the stream of the project, as ``?ticket=``."""
        path = {"project_id": project_id}
        return self._http.call("create_stream_ticket", models.StreamTicket, path=path, idempotency_key=idempotency_key)
