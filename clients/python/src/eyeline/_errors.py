"""The errors that the client raises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FieldErrors = Mapping[str, Sequence[str]]


class EyelineError(Exception):
    """The base of every error that this package raises."""


class ApiError(EyelineError):
    """The server refused a request with a problem document (RFC 9457).

    Attributes:
        status: The HTTP status, 400 to 599.
        title: The name of the status, such as ``Bad Request``.
        detail: One sentence about what went wrong.
        code: Names an error that programs tell from others of its status, such as ``order_pending``. Mostly ``None``.
        errors: For invalid input, sentences by field path, for example ``{"name": ["This field is required."]}``.
            Empty for every other error.
        request_id: Names the request here and in the log of the server. ``None`` if the answer did not hold it.
        retry_after: Seconds to wait before another attempt, if the server said so.
    """

    def __init__(
        self,
        status: int,
        *,
        title: str = "",
        detail: str = "",
        code: str | None = None,
        errors: FieldErrors | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        self.code = code
        self.errors: dict[str, list[str]] = {field: list(said) for field, said in (errors or {}).items()}
        self.request_id = request_id
        self.retry_after = retry_after
        super().__init__(status, title, detail)

    def __str__(self) -> str:
        fields = "; ".join(f"{field or 'body'}: {' '.join(said)}" for field, said in self.errors.items())
        text = f"{self.status} {self.title}: {self.detail}".rstrip(": ")
        text += f" ({fields})" if fields else ""
        return f"{text} [request {self.request_id}]" if self.request_id else text

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions travel between processes by pickle, which does not know keyword arguments.
        state = {key: value for key, value in self.__dict__.items() if key != "status"}
        return type(self), (self.status,), state


class NetworkError(EyelineError):
    """No answer came: the server is unreachable, or the connection broke or took too long.

    The write may have happened. Creating requests carry an idempotency key, so sending the same key again is safe.
    """


class ResponseError(EyelineError):
    """The answer does not have the shape that the API documents. The server is probably older than this client."""


class UploadInterrupted(EyelineError):
    """A file did not arrive, and the attempts ran out of time.

    ``images.send(error.link, source)`` continues the upload as long as ``error.link.expires_at`` is ahead.

    Attributes:
        link: The image and its upload link, as ``images.create`` returned it.
    """

    def __init__(self, link: Any, reason: str) -> None:
        self.link = link
        super().__init__(link, reason)

    def __str__(self) -> str:
        return f"The upload of image {self.link.image_id} was interrupted: {self.args[1]}"


class ImageError(EyelineError):
    """An image ended in the state ``error``.

    Attributes:
        image: The image. Its ``error`` says why in one sentence, its ``error_code`` for programs.
    """

    def __init__(self, image: Any) -> None:
        self.image = image
        super().__init__(image)

    def __str__(self) -> str:
        return f"Image {self.image.image_id} ({self.image.filename}) failed: {self.image.error}"


class WaitTimeout(EyelineError, TimeoutError):
    """The state that was waited for did not come within the timeout."""
