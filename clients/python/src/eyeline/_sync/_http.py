"""Requests: credentials, idempotency keys, attempts, errors. The only module that knows the HTTP library."""

# Made from ``_async`` by scripts/generate.py: change that file.

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx2

from .._decode import decode, encode
from .._errors import NetworkError
from .._operations import OPERATIONS
from .._requests import HOPELESS, JSON, NEVER_SENT, Reply, Settings, api_error, parameters, said
from .._retry import Attempts
from .._version import __version__
from . import _runtime

T = TypeVar("T")


class Http:
    """Sends requests to one server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._made: httpx2.Client | None = None
        self._made_by = 0

    def _client(self) -> httpx2.Client:
        # Connections must not be shared with the process that this one was forked from.
        if self._made is None or self._made_by != os.getpid():
            limits = httpx2.Limits(max_connections=64, max_keepalive_connections=16)
            timeout = httpx2.Timeout(self.settings.timeout, connect=min(10.0, self.settings.timeout))
            self._made = httpx2.Client(
                verify=self.settings.verify,
                timeout=timeout,
                limits=limits,
                headers={"User-Agent": f"eyeline-python/{__version__}"},
            )
            self._made_by = os.getpid()
        return self._made

    def close(self) -> None:
        """Closes the connections. The next request opens new ones."""
        made, self._made = self._made, None
        if made is not None and self._made_by == os.getpid():
            made.close()

    def call(self, operation: str, into: type[T], **request: Any) -> T:
        """Calls an operation and makes ``into`` of the answer. Takes the arguments of :meth:`fetch`."""
        reply = self.fetch(operation, **request)
        return decode(into, reply.json())

    def fetch(
        self,
        operation: str,
        *,
        path: Mapping[str, object] | None = None,
        query: Mapping[str, object] | None = None,
        json_body: object = None,
        content: bytes | Callable[[], Iterator[bytes]] | None = None,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        repeatable: bool | None = None,
        timeout: float | None = None,
        retry_for: float | None = None,
        also_fine: tuple[int, ...] = (),
    ) -> Reply:
        """Calls an operation, again after failures as long as that is safe and ``retry_for`` allows.

        Args:
            operation: The id of the operation.
            path: The parameters in its path.
            query: Further parameters; those that are ``None`` are left out.
            json_body: The body, as a value that :func:`eyeline._decode.encode` takes.
            content: The body as bytes, or a function that begins it anew for each attempt.
            form: Arguments of a multipart form, as the HTTP library takes them.
            headers: Further headers.
            idempotency_key: For an operation that creates; a random one by default.
            repeatable: Whether another attempt is safe, if that differs from the table of operations.
            timeout: Seconds of silence after which an attempt fails.
            retry_for: Seconds during which attempts may follow each other.
            also_fine: Statuses from 400 on that are no error here.

        Raises:
            ApiError: The server refused the request.
            NetworkError: No answer came.
        """
        verb, template, _, keyed, repeatable_post = OPERATIONS[operation]
        sent_headers = {**self._credentials(), **(headers or {})}
        if keyed:
            sent_headers["Idempotency-Key"] = idempotency_key or str(uuid4())
        if json_body is not None:
            content = json.dumps(encode(json_body), separators=(",", ":"), allow_nan=False).encode()
            sent_headers.setdefault("Content-Type", JSON)
        safe = verb != "POST" or keyed or repeatable_post if repeatable is None else repeatable
        return self.send(
            verb,
            self.address(template, path),
            query=query,
            content=content,
            form=form,
            headers=sent_headers,
            repeatable=safe,
            timeout=timeout,
            retry_for=retry_for,
            also_fine=also_fine,
        )

    def send(
        self,
        verb: str,
        url: str,
        *,
        query: Mapping[str, object] | None = None,
        content: bytes | Callable[[], Iterator[bytes]] | None = None,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
        timeout: float | None = None,
        retry_for: float | None = None,
        also_fine: tuple[int, ...] = (),
    ) -> Reply:
        """Sends a request to any address, without credentials unless ``headers`` hold them."""
        attempts = Attempts(self.settings.retry_for if retry_for is None else retry_for, repeatable)
        while True:
            arguments: dict[str, Any] = {"headers": headers, "params": parameters(query), **(form or {})}
            if content is not None:
                arguments["content"] = content if isinstance(content, bytes) else _runtime.body(content())
            if timeout is not None:
                arguments["timeout"] = timeout
            try:
                response = self._client().request(verb, url, follow_redirects=verb == "GET", **arguments)
            except HOPELESS as error:
                raise NetworkError(f"{verb} {url}: {error}") from error
            except (httpx2.RequestError, httpx2.StreamError) as error:
                wait = attempts.after_network_error(sent=not isinstance(error, NEVER_SENT))
                if wait is None:
                    raise NetworkError(f"{verb} {url}: {said(error)}") from error
            else:
                if response.status_code < 400 or response.status_code in also_fine:
                    return Reply(response.status_code, response.headers, response.content)
                wait = attempts.after_status(response.status_code, response.headers)
                if wait is None:
                    raise api_error(Reply(response.status_code, response.headers, response.content))
            _runtime.sleep(wait)

    @contextmanager
    def listen(
        self, operation: str, *, path: Mapping[str, object], since: int | None, silence: float
    ) -> Iterator[Iterator[tuple[str, str]]]:
        """Opens a stream of server-sent events, once; yields an iterator of their ids and data.

        Raises:
            ApiError: The server refused to open it.
            NetworkError: It could not be opened, broke, or was silent for ``silence`` seconds.
        """
        headers = {**self._credentials(), "Accept": "text/event-stream"}
        query = {} if since is None else {"since": since}
        timeout = httpx2.Timeout(self.settings.timeout, read=silence)
        url = self.address(OPERATIONS[operation].path, path)
        try:
            with self._client().stream("GET", url, headers=headers, params=query, timeout=timeout) as response:
                if response.status_code >= 400:
                    response.read()
                    raise api_error(Reply(response.status_code, response.headers, response.content))
                yield _events(response)
        except (httpx2.RequestError, httpx2.StreamError) as error:
            raise NetworkError(f"GET {url}: {said(error)}") from error

    def address(self, template: str, path: Mapping[str, object] | None) -> str:
        """Returns the address of an operation on this server."""
        given = {name: quote(str(value), safe="") for name, value in (path or {}).items()}
        return self.settings.url + template.format_map(given)

    def _credentials(self) -> dict[str, str]:
        credentials = {}
        if self.settings.key:
            credentials["Authorization"] = f"Bearer {self.settings.key}"
        if self.settings.application:
            credentials["application"] = self.settings.application
        return credentials


def _events(response: httpx2.Response) -> Iterator[tuple[str, str]]:
    for event in httpx2.EventSource(response):
        yield event.id, event.data
