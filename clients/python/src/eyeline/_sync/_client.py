"""The client."""

# Made from ``_async`` by scripts/generate.py: change that file.

from __future__ import annotations

import os
import ssl
from types import TracebackType

from .._events.queue import EventOptions, EventQueue
from .._requests import Settings
from . import _runtime
from ._analytics import Analytics
from ._applications import Applications
from ._event_types import EventTypes
from ._events import Events
from ._galleries import Galleries
from ._http import Http
from ._images import Images
from ._projects import Projects
from ._server import Server
from ._uploads import Uploads


class Eyeline:
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
        self._http = Http(settings)
        self._event_options = event_options or EventOptions()
        self._queue = EventQueue(settings, self._event_options)
        self.projects = Projects(self._http)
        self.applications = Applications(self._http)
        self.images = Images(self._http)
        self.uploads = Uploads(self._http)
        self.galleries = Galleries(self._http)
        self.events = Events(self._http, self._queue)
        self.event_types = EventTypes(self._http)
        self.analytics = Analytics(self._http)
        self.server = Server(self._http)

    def flush(self, timeout: float = 10.0) -> bool:
        """Sends the queued events; returns whether all were dealt with within the timeout."""
        return _runtime.in_thread(lambda: self._queue.flush(timeout))

    def close(self) -> None:
        """Sends the queued events, for at most ``exit_timeout``, and closes the connections."""
        _runtime.in_thread(self._queue.close)
        self._http.close()

    def __enter__(self) -> Eyeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._http.settings.url!r})"
