"""A user's own uploads."""

from __future__ import annotations

from .. import models
from .._decode import decode
from .._files import Source
from .._types import FileSource, Id, Tier
from . import _runtime
from ._resource import AsyncItems, AsyncResource

ANSWER_SECONDS = 60.0
"""Of silence: the server answers once the versions are made, or after 15 s."""


class AsyncUploads(AsyncResource):
    """``client.uploads``: images that are private to a user. Takes a user token, or a key and ``user_id``."""

    async def create(
        self,
        source: FileSource,
        *,
        user_id: str | None = None,
        tier: Tier | None = None,
        filename: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.Image:
        """Uploads an image of a user. Returns it ``done`` or failed, or after a while in its present state.

        Args:
            source: A path, bytes, or an open binary file.
            user_id: With a key: the user who owns the upload.
            tier: With a key: the user's tier, ``free`` by default.
            filename: Its name; that of the path by default.
            idempotency_key: A key of your own.

        Raises:
            ApiError: 413 too large for the tier, 415 no picture, 422 as many images as the tier keeps.
        """
        file = Source(source, filename)
        content = await _runtime.in_thread(file.read)
        reply = await self._http.fetch(
            "create_upload",
            query={"user_id": user_id, "tier": tier},
            form={"files": {"data": (file.filename, content)}},
            idempotency_key=idempotency_key,
            timeout=ANSWER_SECONDS,
        )
        return decode(models.Image, reply.json())

    def list(
        self,
        *,
        user_id: str | None = None,
        page: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> AsyncItems[models.UploadList, models.Image]:
        """Lists a user's uploads, the newest first; ``page`` (from 1) begins at a page by its number."""
        return AsyncItems(
            lambda query: self._http.call("list_uploads", models.UploadList, query=query),
            lambda found: found.images,
            {"user_id": user_id, "page": page, "limit": limit, "cursor": cursor},
        )

    async def get(self, image_id: Id) -> models.Image:
        """Returns one of a user's uploads."""
        return await self._http.call("get_upload", models.Image, path={"image_id": image_id})

    async def delete(self, image_id: Id) -> None:
        """Deletes an upload. It no longer counts towards the user's quota."""
        await self._http.fetch("delete_upload", path={"image_id": image_id})
