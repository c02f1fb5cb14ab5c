"""Answers to questions in SQL."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ._decode import decode
from ._errors import EyelineError, ResponseError

if TYPE_CHECKING:
    import pandas
    import pyarrow

ARROW = "application/vnd.apache.arrow.stream"


@dataclass(frozen=True)
class SqlColumn:
    """A column of an answer.

    Attributes:
        name: As the query named it.
        type: ``text``, ``integer``, ``number``, ``boolean``, ``timestamp``, ``date``, ``time``, ``interval`` or
            ``null``.
    """

    name: str
    type: str


class SqlResult:
    """The answer to a query. Made by ``client.analytics.sql``.

    Attributes:
        columns: The columns, in the order of the query.
        truncated: Whether there are more rows than these.
        as_of: All events that were applied by then are in the answer.
        complete_from: If older events are no longer kept: the answer is complete from this time on.
    """

    def __init__(
        self,
        columns: list[SqlColumn],
        rows: list[dict[str, Any]] | None,
        arrow: bytes | None,
        *,
        truncated: bool,
        as_of: datetime,
        complete_from: datetime | None,
    ) -> None:
        self.columns = columns
        self.truncated = truncated
        self.as_of = as_of
        self.complete_from = complete_from
        self._rows = rows
        self._arrow = arrow

    @classmethod
    def of(cls, headers: Mapping[str, str], content: bytes) -> SqlResult:
        """Reads an answer: an Arrow stream or JSON."""
        if headers.get("content-type", "").split(";")[0].strip() == ARROW:
            complete_from = headers.get("eyeline-complete-from")
            return cls(
                _columns_of(_read(content).schema),
                None,
                content,
                truncated=headers.get("eyeline-truncated") == "true",
                as_of=decode(datetime, headers.get("eyeline-as-of")),
                complete_from=decode(datetime, complete_from) if complete_from else None,
            )
        try:
            answer = json.loads(content)
            columns = [SqlColumn(column["name"], column["type"]) for column in answer["columns"]]
            rows = answer["rows"]
        except (ValueError, KeyError, TypeError) as error:
            raise ResponseError(f"The answer is no table: {error}.") from error
        complete_from = answer.get("complete_from")
        return cls(
            columns,
            rows,
            None,
            truncated=bool(answer.get("truncated")),
            as_of=decode(datetime, answer.get("as_of")),
            complete_from=decode(datetime, complete_from) if complete_from else None,
        )

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The rows as dicts by column, with values of Python.

        Text is ``str``, numbers are ``int`` and ``float``, timestamps are ``datetime`` in UTC, dates ``date``, times
        ``time``, and intervals text. ``None`` stands for NULL, and for numbers that are not finite.
        """
        rows = self._rows if self._rows is not None else _read(self._arrow or b"").to_pylist()
        readers = [(column.name, _READERS.get(column.type, _as_is)) for column in self.columns]
        return [{name: None if row[name] is None else reader(row[name]) for name, reader in readers} for row in rows]

    def to_arrow(self) -> pyarrow.Table:
        """Returns the answer as a ``pyarrow.Table``. Needs ``pip install eyeline[arrow]``."""
        if self._arrow is not None:
            return _read(self._arrow)
        arrow = _needed("pyarrow", "arrow")
        types = {
            "text": arrow.string(),
            "integer": arrow.int64(),
            "number": arrow.float64(),
            "boolean": arrow.bool_(),
            "timestamp": arrow.timestamp("us", tz="UTC"),
            "date": arrow.date32(),
            "time": arrow.time64("us"),
            "interval": arrow.string(),
            "null": arrow.null(),
        }
        schema = arrow.schema([(column.name, types[column.type]) for column in self.columns])
        return arrow.Table.from_pylist(self.rows, schema=schema)

    def to_pandas(self) -> pandas.DataFrame:
        """Returns the answer as a ``pandas.DataFrame``. Needs ``pip install eyeline[pandas]``."""
        _needed("pandas", "pandas")
        frame: pandas.DataFrame = self.to_arrow().to_pandas()
        return frame

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        names = ", ".join(f"{column.name} {column.type}" for column in self.columns)
        return f"SqlResult({len(self)} rows of {names})"


def _needed(module: str, extra: str) -> Any:
    try:
        return __import__(module)
    except ImportError:
        raise EyelineError(f"{module} is not installed. Install it with: pip install 'eyeline[{extra}]'") from None


def _read(content: bytes) -> Any:
    arrow = _needed("pyarrow", "arrow")
    import pyarrow.ipc

    try:
        with pyarrow.ipc.open_stream(io.BytesIO(content)) as stream:
            return stream.read_all()
    except arrow.ArrowInvalid as error:
        raise ResponseError(f"The answer is no Arrow stream: {error}.") from error


def _columns_of(schema: Any) -> list[SqlColumn]:
    def kind(field: Any) -> str:
        stated = (field.metadata or {}).get(b"eyeline.type")
        return stated.decode() if stated else "text"

    return [SqlColumn(field.name, kind(field)) for field in schema]


def _as_is(value: Any) -> Any:
    return value


def _number(value: Any) -> float | int | None:
    number = float(value) if isinstance(value, Decimal) else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def _timestamp(value: Any) -> datetime:
    return decode(datetime, value) if isinstance(value, str) else value.astimezone(timezone.utc)


def _date(value: Any) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _time(value: time | str) -> time:
    if isinstance(value, str):
        whole, _, fraction = value.partition(".")
        return time.fromisoformat(f"{whole}.{fraction[:6]:0<6}")
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    "number": _number,
    "timestamp": _timestamp,
    "date": _date,
    "time": _time,
}
