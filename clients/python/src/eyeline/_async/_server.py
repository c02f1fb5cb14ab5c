"""The server itself: health, readiness, metrics, failed jobs."""

from __future__ import annotations

from typing import Any

from .. import models
from .._types import Id, Time
from ._resource import AsyncItems, AsyncResource


class AsyncServer(AsyncResource):
    """``client.server``"""

    async def health(self) -> models.Health:
        """Returns if the server is alive. Needs no credential."""
        return await self._http.call("get_health", models.Health)

    async def readiness(self) -> models.Readiness:
        """Returns whether the server is ready, and which engines it reaches. Makes one attempt."""
        return await self._http.call("get_readiness", models.Readiness, retry_for=0, also_fine=(503,))

    async def openapi(self) -> dict[str, Any]:
        """Returns the description of the API: an OpenAPI 3.1 document. Needs no credential."""
        return await self._http.call("get_openapi", dict[str, Any])

    async def metrics(self) -> str:
        """Returns the metrics for Prometheus. Requires the admin key."""
        return (await self._http.fetch("get_metrics")).content.decode()

    def jobs(self, *, limit: int | None = None, cursor: str | None = None) -> AsyncItems[models.JobList, models.Job]:
        """Lists jobs that were given up, the newest first. Requires the admin key."""
        return AsyncItems(
            lambda query: self._http.call("list_jobs", models.JobList, query=query),
            lambda page: page.jobs,
            {"limit": limit, "cursor": cursor},
        )

    async def retry_job(self, job_id: Id) -> None:
        """Starts a job that was given up again. Requires the admin key."""
        await self._http.fetch("retry_job", path={"job_id": job_id})

    async def set_clock(self, now: Time) -> models.TestClock:
        """Sets the clock of a test server (``EYELINE_TEST_CLOCK``). Requires the admin key; 404 on any other server."""
        return await self._http.call("set_test_clock", models.TestClock, json_body={"now": now})
