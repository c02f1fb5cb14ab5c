"""JSON to dataclasses and back.

A server that is newer than this client may send fields that the client does not know: they are left out.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import datetime, timezone
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union
from uuid import UUID

from ._errors import ResponseError

T = TypeVar("T")


def decode(into: type[T], value: object) -> T:
    """Makes an instance of ``into`` of a JSON value. Raises :class:`ResponseError` if the shapes differ."""
    return typing.cast(T, _decode(into, value, ""))


def _decode(into: Any, value: Any, path: str) -> Any:
    if into is Any or into is object:
        return value
    if into is None or into is type(None):
        if value is None:
            return None
        raise _mismatch(path, "null", value)
    if into is datetime:
        return _moment(value, path)
    if isinstance(into, type) and dataclasses.is_dataclass(into):
        return _decode_fields(into, value, path)
    origin = typing.get_origin(into)
    if origin is None:
        return _decode_plain(into, value, path)
    arguments = typing.get_args(into)
    if origin in (Union, types.UnionType):
        return _decode_union(arguments, value, path)
    if origin is list:
        if not isinstance(value, list):
            raise _mismatch(path, "an array", value)
        return [_decode(arguments[0], item, f"{path}.{index}") for index, item in enumerate(value)]
    if origin is dict:
        if not isinstance(value, dict):
            raise _mismatch(path, "an object", value)
        return {key: _decode(arguments[1], item, f"{path}.{key}") for key, item in value.items()}
    if origin is Literal:
        # A value that is newer than this client is passed on as it is.
        return value
    return value


def _decode_plain(into: Any, value: Any, path: str) -> Any:
    if into is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(into, type) and issubclass(into, Enum):
        try:
            return into(value)
        except ValueError:
            return value
    if isinstance(into, type) and (not isinstance(value, into) or (into is int and isinstance(value, bool))):
        raise _mismatch(path, into.__name__, value)
    return value


def _decode_union(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in options:
        return None
    options = tuple(option for option in options if option is not type(None))
    if len(options) == 1:
        return _decode(options[0], value, path)
    mismatch: ResponseError | None = None
    for option in options:
        try:
            return _decode(option, value, path)
        except ResponseError as error:
            mismatch = error
    raise mismatch or _mismatch(path, "a known shape", value)


def _decode_fields(into: type[Any], value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise _mismatch(path, "an object", value)
    given: dict[str, Any] = {}
    for name, key, kind, required in _fields_of(typing.cast(Any, into)):
        if key in value:
            given[name] = _decode(kind, value[key], f"{path}.{key}" if path else key)
        elif required:
            raise ResponseError(f"The answer lacks the field {path}.{key}".replace(" .", " "))
    return into(**given)


@cache
def _fields_of(into: Any) -> list[tuple[str, str, Any, bool]]:
    """For each field: its name in Python, its name in JSON, its type, and whether it has to be given."""
    hints = typing.get_type_hints(into)
    return [
        (
            field.name,
            json_name(field.name),
            hints[field.name],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(into)
    ]


def json_name(name: str) -> str:
    """``from_`` is ``from`` in JSON: a field that is a keyword of Python ends in an underscore."""
    return name.rstrip("_")


def _moment(value: Any, path: str) -> datetime:
    if isinstance(value, str):
        try:
            # Before 3.11, fromisoformat does not know Z.
            return datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith("Z") else value)
        except ValueError:
            pass
    raise _mismatch(path, "a time", value)


def _mismatch(path: str, expected: str, value: object) -> ResponseError:
    place = f"The field {path} of the answer" if path else "The answer"
    return ResponseError(f"{place} has to be {expected}, but is {type(value).__name__}.")


def encode(value: object) -> Any:
    """Makes a JSON value of dataclasses (without fields that are ``None``), times, ids and containers."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, datetime):
        return encode_time(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Enum):
        return encode(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        given = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {json_name(name): encode(item) for name, item in given if item is not None}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [encode(item) for item in value]
    raise TypeError(f"A value of type {type(value).__name__} cannot be sent as JSON.")


def encode_time(moment: datetime) -> str:
    """Returns the time in UTC as RFC 3339 with microseconds. Raises :class:`ValueError` for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError("This time has no zone. Use datetime.now(timezone.utc), or .astimezone() for local time.")
    return moment.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
