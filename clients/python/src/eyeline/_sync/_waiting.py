"""Waits until images are done: by the stream of their project, or by polling where the stream cannot be read."""

# Made from ``_async`` by scripts/generate.py: change that file.

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

from .. import models
from .._errors import ApiError, EyelineError, NetworkError, WaitTimeout
from .._news import News
from .._retry import backoff
from . import _runtime
from ._http import Http

FINAL = frozenset({"done", "error"})
LISTEN = 15.0
"""Seconds without news after which the images are looked at, should the stream have lost something."""
LOOKS_AT_ONCE = 8

Settled = Callable[[str, str, str | None], None]
"""Called with the id of an image, the state that it ended in, and for ``error`` the reason."""


class Waiter:
    """Waits for images of one project."""

    def __init__(self, http: Http, project_id: str, settled: Settled) -> None:
        self._http = http
        self._project_id = project_id
        self._settled = settled
        self._waiting: set[str] = set()

    def position(self) -> int | None:
        """Returns the ``seq`` that the stream has reached; ``None`` where it cannot be read."""
        try:
            with self._stream(None, self._http.settings.timeout) as events:
                for event_id, _ in events:
                    return int(event_id) if event_id.isdigit() else None
        except EyelineError:
            pass
        return None

    def wait(self, image_ids: Iterable[str], since: int | None, timeout: float) -> None:
        """Waits until all images are done or failed.

        Args:
            image_ids: The images.
            since: A ``seq`` of the stream before which none of them was final, if it is known.
            timeout: Seconds at the most.

        Raises:
            WaitTimeout: Some were not final in time. Those that were have been told.
        """
        self._waiting.update(image_ids)
        deadline = time.monotonic() + timeout
        streams = True
        failed = 0
        if since is None and self._waiting:
            self._look()
        while self._waiting:
            left = deadline - time.monotonic()
            if left <= 0:
                raise WaitTimeout(f"{len(self._waiting)} images were not done after {timeout:g} s.")
            if streams:
                try:
                    since = self._listen(since, deadline)
                    failed = 0
                    continue
                except ApiError as error:
                    # A credential that may not listen will not be allowed to by asking again.
                    streams = error.status >= 500 or error.status == 429
                except NetworkError:
                    pass
            self._look()
            if self._waiting:
                _runtime.sleep(max(0.0, min(backoff(failed, 2.0), deadline - time.monotonic())))
            failed += 1

    def _listen(self, since: int | None, deadline: float) -> int | None:
        """Takes news in until all images are final or time is up; returns the ``seq`` to go on from."""
        silence = max(0.1, min(LISTEN, deadline - time.monotonic()))
        with self._stream(since, silence) as events:
            for event_id, data in events:
                # Without a place to begin at, what happened before the stream was open is seen by looking.
                begins_now = since is None
                since = int(event_id) if event_id.isdigit() else since
                if begins_now:
                    self._look()
                if data:
                    self._take(News.of(json.loads(data)))
                if not self._waiting or time.monotonic() > deadline:
                    break
        return since

    def _stream(self, since: int | None, silence: float) -> AbstractContextManager[Iterator[tuple[str, str]]]:
        path = {"project_id": self._project_id}
        return self._http.listen("open_stream", path=path, since=since, silence=silence)

    def _take(self, news: News) -> None:
        if news.type == "reset":
            self._look()
        elif news.type == "image.state" and news.image_id in self._waiting and news.state in FINAL:
            self._settle(news.image_id, news.state or "", news.error)

    def _look(self) -> None:
        _runtime.each(self._look_at, sorted(self._waiting), LOOKS_AT_ONCE)

    def _look_at(self, image_id: str) -> None:
        try:
            image = self._http.call("get_image", models.Image, path={"image_id": image_id})
        except ApiError as error:
            if error.status != 404:
                raise
            self._settle(image_id, "error", "The image was deleted before it was done.")
        else:
            if image.state in FINAL:
                self._settle(image_id, image.state, image.error)

    def _settle(self, image_id: str, state: str, reason: str | None) -> None:
        self._waiting.discard(image_id)
        self._settled(image_id, state, reason)
