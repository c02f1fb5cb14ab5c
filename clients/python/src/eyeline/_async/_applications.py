"""Applications: the trusted senders of a project."""

from __future__ import annotations

from collections.abc import Sequence

from .. import models
from .._types import UNSET, Id, Unset
from ._resource import AsyncItems, AsyncResource, given, present


class AsyncApplications(AsyncResource):
    """``client.applications``"""

    async def create(
        self,
        project_id: Id,
        name: str,
        *,
        allowed_origins: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> models.ApplicationWithSecrets:
        """Creates an application. The answer holds ``secret_key`` and ``signing_secret``, which are shown this once.

        Args:
            project_id: The project that the application sends for.
            name: A name for people.
            allowed_origins: Origins of pages that may use the application's id, such as ``https://shop.example``.
            idempotency_key: A key of your own. A repetition within a day returns the application without its secrets.

        Raises:
            ApiError: 400 with ``errors``, or 404 for an unknown project.
        """
        body = present(project_id=project_id, name=name, allowed_origins=allowed_origins)
        return await self._http.call(
            "create_application", models.ApplicationWithSecrets, json_body=body, idempotency_key=idempotency_key
        )

    def list(
        self, *, project_id: Id | None = None, limit: int | None = None, cursor: str | None = None
    ) -> AsyncItems[models.ApplicationList, models.Application]:
        """Lists the applications of a project, the newest first. The admin key has to name the project."""
        return AsyncItems(
            lambda query: self._http.call("list_applications", models.ApplicationList, query=query),
            lambda page: page.applications,
            {"project_id": project_id, "limit": limit, "cursor": cursor},
        )

    async def get(self, application_id: Id) -> models.Application:
        """Returns an application without its secrets."""
        return await self._http.call("get_application", models.Application, path={"application_id": application_id})

    async def update(
        self,
        application_id: Id,
        *,
        name: str | Unset = UNSET,
        allowed_origins: Sequence[str] | Unset = UNSET,
        ed25519_public_key: str | Unset = UNSET,
    ) -> models.Application:
        """Changes only the given fields.

        Args:
            application_id: The application.
            name: A name for people.
            allowed_origins: Replaces all origins.
            ed25519_public_key: 32 bytes as base64 or base64url, or a PEM. The empty text removes the key.
        """
        body = given(name=name, allowed_origins=allowed_origins, ed25519_public_key=ed25519_public_key)
        return await self._http.call(
            "update_application", models.Application, path={"application_id": application_id}, json_body=body
        )

    async def delete(self, application_id: Id) -> None:
        """Revokes an application: its keys and tokens end before this returns. Its events stay."""
        await self._http.fetch("delete_application", path={"application_id": application_id})

    async def rotate(
        self,
        application_id: Id,
        *,
        overlap_seconds: int | None = None,
        signing_secret: bool | None = None,
        idempotency_key: str | None = None,
    ) -> models.ApplicationWithSecrets:
        """Creates a new secret key.

        Args:
            application_id: The application.
            overlap_seconds: How long older keys still work: a day by default, at most 30 days. 0 ends them.
            signing_secret: True replaces the signing secret too; user tokens signed with the old one end.
            idempotency_key: A key of your own.
        """
        body = present(overlap_seconds=overlap_seconds, signing_secret=signing_secret)
        return await self._http.call(
            "rotate_application_key",
            models.ApplicationWithSecrets,
            path={"application_id": application_id},
            json_body=body,
            idempotency_key=idempotency_key,
        )
