"""Types of arguments that several methods share."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import IO, Literal, TypeAlias
from uuid import UUID

Id: TypeAlias = str | UUID
"""An id as the API gives it, or as :class:`uuid.UUID`."""

Time: TypeAlias = datetime | str
"""A time with a zone, or RFC 3339 text."""

FileSource: TypeAlias = str | os.PathLike[str] | bytes | IO[bytes]
"""The path of a file, its bytes, or an open binary file that can seek."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes sent so far and the bytes in all. It may be called from another thread."""

Tier: TypeAlias = Literal["free", "premium", "business"]
Visibility: TypeAlias = Literal["public", "private"]


class Unset(Enum):
    """The type of :data:`UNSET`."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset.UNSET
"""Marks an argument that was not given, where ``None`` means: remove the value."""
