"""A client of Eyeline: images, galleries that order themselves, events, and questions about them.

>>> from eyeline import Eyeline
>>> with Eyeline("http://localhost:8009", key="eyl_sk_…") as client:
...     image = client.images.upload("hello.jpg", project_id=project_id).wait()
"""

from . import models
from ._async._client import AsyncEyeline
from ._async._images import AsyncUploadedImage
from ._errors import (
    ApiError,
    EyelineError,
    ImageError,
    NetworkError,
    ResponseError,
    UploadInterrupted,
    WaitTimeout,
)
from ._events.queue import EventOptions, EventStats
from ._news import News
from ._sql import SqlColumn, SqlResult
from ._sync._client import Eyeline
from ._sync._images import UploadedImage
from ._types import UNSET
from ._uploads import UploadOutcome
from ._version import __version__

__all__ = [
    "UNSET",
    "ApiError",
    "AsyncEyeline",
    "AsyncUploadedImage",
    "EventOptions",
    "EventStats",
    "Eyeline",
    "EyelineError",
    "ImageError",
    "NetworkError",
    "News",
    "ResponseError",
    "SqlColumn",
    "SqlResult",
    "UploadInterrupted",
    "UploadOutcome",
    "UploadedImage",
    "WaitTimeout",
    "__version__",
    "models",
]
