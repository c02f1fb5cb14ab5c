"""The client."""

from __future__ import annotations

import os
import ssl
from types import TracebackType

from .._events.queue import EventOptions, EventQueue
from .._requests import Settings
from . import _runtime
from ._analytics import AsyncAnalytics
from ._applications import AsyncApplications
from ._event_types import AsyncEventTypes
from ._events import AsyncEvents
from ._galleries import AsyncGalleries
from ._http import AsyncHttp
from ._images import AsyncImages
from ._projects import AsyncProjects
from ._server import AsyncServer
from ._uploads import AsyncUploads


class AsyncEyeline:
    """A client of one Eyeline server.

    Attributes:
        projects: Projects, erasures, live news.
        applications: Applications and their keys.
        images: Uploads and images.
        uploads: Users' own uploads.
        galleries: Galleries, datasets, rules.
        events: Events: queued, sent, read back.
        event_types: Schemas of events.
        analytics: Reports and SQL.
        server: Health, jobs, metrics.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        application: str | None = None,
        timeout: float = 30.0,
        retry_for: float = 30.0,
        verify: bool | ssl.SSLContext = True,
        event_options: EventOptions | None = None,
    ) -> None:
        """Makes a client. No request is sent yet.

        Args:
            url: The address of the server, such as ``https://photos.example``; ``EYELINE_URL`` by default.
            key: The admin key, the secret key of an application, or a user token; ``EYELINE_KEY`` by default.
            application: The id of an application: for events with the admin key, or alone as the public credential.
                ``EYELINE_APPLICATION`` by default.
            timeout: Seconds of silence after which an attempt fails.
            retry_for: Seconds during which a failed request is tried again. 0 makes one attempt.
            verify: False accepts any certificate; a context names your own authorities.
            event_options: How events are queued.

        Raises:
            ValueError: There is no address, or it is none.
        """
        url = url or os.environ.get("EYELINE_URL") or ""
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"The address of the server has to begin with http:// or https://, not {url!r}.")
        settings = Settings(
            url=url.rstrip("/").removesuffix("/api/v1"),
            key=key or os.environ.get("EYELINE_KEY") or None,
            application=str(application or os.environ.get("EYELINE_APPLICATION") or "") or None,
            timeout=timeout,
            retry_for=retry_for,
            verify=verify,
        )
        self._http = AsyncHttp(settings)
        self._event_options = event_options or EventOptions()
        self._queue = EventQueue(settings, self._event_options)
        self.projects = AsyncProjects(self._http)
        self.applications = AsyncApplications(self._http)
        self.images = AsyncImages(self._http)
        self.uploads = AsyncUploads(self._http)
        self.galleries = AsyncGalleries(self._http)
        self.events = AsyncEvents(self._http, self._queue)
        self.event_types = AsyncEventTypes(self._http)
        self.analytics = AsyncAnalytics(self._http)
        self.server = AsyncServer(self._http)

    async def flush(self, timeout: float = 10.0) -> bool:
        """Sends the queued events; returns whether all were dealt with within the timeout."""
        return await _runtime.in_thread(lambda: self._queue.flush(timeout))

    async def aclose(self) -> None:
        """Sends the queued events, for at most ``exit_timeout``, and closes the connections."""
        await _runtime.in_thread(self._queue.close)
        await self._http.aclose()

    async def __aenter__(self) -> AsyncEyeline:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._http.settings.url!r})"
