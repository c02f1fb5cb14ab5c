"""JSON to dataclasses and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, Literal
from uuid import UUID

import pytest

from eyeline import ResponseError
from eyeline._decode import decode, encode, encode_time


@dataclass
class Inner:
    name: str
    rate: float | None = None


@dataclass
class Outer:
    at: datetime
    inner: Inner
    many: list[Inner]
    by_name: dict[str, list[int]]
    from_: str
    kind: Literal["a", "b"] = "a"
    free: Any = None
    tags: list[str] = field(default_factory=list)


WHOLE = {
    "at": "2021-01-01T09:15:27.243860Z",
    "inner": {"name": "x", "rate": 1, "newer": True},
    "many": [{"name": "y"}],
    "by_name": {"z": [1, 2]},
    "from": "here",
    "kind": "newer",
}


def test_an_answer_becomes_a_dataclass_and_unknown_fields_and_values_are_taken() -> None:
    outer = decode(Outer, WHOLE)
    assert outer.at == datetime(2021, 1, 1, 9, 15, 27, 243860, tzinfo=timezone.utc)
    assert outer.inner == Inner("x", 1.0)
    assert isinstance(outer.inner.rate, float)
    assert outer.many == [Inner("y")]
    assert (outer.by_name, outer.from_, outer.kind, outer.tags) == ({"z": [1, 2]}, "here", "newer", [])


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"at": "yesterday"}, "at"),
        ({"at": 5}, "at"),
        ({"inner": []}, "inner"),
        ({"inner": {}}, "inner.name"),
        ({"inner": {"name": 1}}, "inner.name"),
        ({"inner": {"name": "x", "rate": True}}, "inner.rate"),
        ({"many": {}}, "many"),
        ({"many": [{"name": "y"}, {"name": None}]}, "many.1.name"),
        ({"by_name": {"z": ["1"]}}, "by_name.z.0"),
    ],
)
def test_another_shape_is_told_with_its_place(change: dict[str, Any], place: str) -> None:
    with pytest.raises(ResponseError, match=place.replace(".", r"\.")):
        decode(Outer, WHOLE | change)


def test_a_missing_field_is_told() -> None:
    with pytest.raises(ResponseError, match="lacks the field from"):
        decode(Outer, {name: value for name, value in WHOLE.items() if name != "from"})


def test_values_of_python_become_json() -> None:
    class Color(str, Enum):
        RED = "red"

    moment = datetime(2021, 1, 1, 10, 15, 27, tzinfo=timezone(timedelta(hours=1)))
    value = {
        "at": moment,
        "id": UUID(int=1),
        "inner": Inner("x"),
        "list": (1, 2.5, None, True),
        "color": Color.RED,
    }
    assert encode(value) == {
        "at": "2021-01-01T09:15:27.000000Z",
        "id": "00000000-0000-0000-0000-000000000001",
        "inner": {"name": "x"},
        "list": [1, 2.5, None, True],
        "color": "red",
    }
    with pytest.raises(TypeError, match="object"):
        encode({"x": object()})
    with pytest.raises(ValueError, match="zone"):
        encode_time(datetime(2021, 1, 1))
    assert encode_time(datetime(999, 1, 1, tzinfo=timezone.utc)).startswith("0999-01-01T")
