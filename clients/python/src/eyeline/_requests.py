"""What blocking and asynchronous requests have in common. Does no I/O."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from ._decode import encode
from ._errors import ApiError, ResponseError
from ._retry import retry_after

NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
HOPELESS = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)
JSON = "application/json"


@dataclass(frozen=True)
class Reply:
    """An answer that is no error."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Returns the body as a JSON value."""
        try:
            return json.loads(self.content) if self.content else None
        except ValueError as error:
            raise ResponseError(f"The answer is not JSON: {error}. Is this the address of an Eyeline server?") from None


@dataclass(frozen=True)
class Settings:
    """How requests are sent."""

    url: str
    key: str | None
    application: str | None
    timeout: float
    retry_for: float
    verify: bool | ssl.SSLContext


def parameters(query: Mapping[str, object] | None) -> dict[str, str] | None:
    """Parameters as text: ``None`` is left out, lists are joined by commas."""
    if not query:
        return None
    given: dict[str, str] = {}
    for name, value in query.items():
        if value is None:
            continue
        value = encode(value)
        if isinstance(value, bool):
            given[name] = "true" if value else "false"
        elif isinstance(value, list):
            given[name] = ",".join(str(item) for item in value)
        else:
            given[name] = str(value)
    return given


def said(error: Exception) -> str:
    return str(error) or type(error).__name__


def api_error(reply: Reply) -> ApiError:
    """Makes the exception of an answer, which is a problem document unless something before the server answered."""
    try:
        problem = json.loads(reply.content)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"detail": reply.content[:200].decode("utf-8", "replace").strip()}
    errors, code = problem.get("errors"), problem.get("code")
    return ApiError(
        reply.status,
        title=str(problem.get("title") or ""),
        detail=str(problem.get("detail") or ""),
        code=code if isinstance(code, str) else None,
        errors=errors if isinstance(errors, dict) else None,
        request_id=problem.get("request_id") or reply.headers.get("x-request-id"),
        retry_after=retry_after(reply.headers),
    )
