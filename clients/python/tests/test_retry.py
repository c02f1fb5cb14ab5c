"""When a request is sent again, on both clients."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import anyio
import pytest
from doubles import Answer, Request, double

from eyeline import ApiError, AsyncEyeline, Eyeline, EyelineError, NetworkError
from eyeline._retry import BACKOFF_MAX, Attempts, backoff, retry_after

PROJECT = {
    "project_id": "018f0000-0000-7000-8000-000000000001",
    "name": "shop",
    "tier": "business",
    "created_at": "2026-01-01T00:00:00.000000Z",
    "updated_at": "2026-01-01T00:00:00.000000Z",
}

Call = Callable[..., Any]


def create_blocking(url: str, **options: Any) -> Any:
    with Eyeline(url, key="eyl_sk_x", **options) as client:
        return client.projects.create("shop")


def create_async(url: str, **options: Any) -> Any:
    async def run() -> Any:
        async with AsyncEyeline(url, key="eyl_sk_x", **options) as client:
            return await client.projects.create("shop")

    return anyio.run(run)


both = pytest.mark.parametrize("create", [create_blocking, create_async])


def in_turn(*answers: Answer) -> Callable[[Request], Answer]:
    left = list(answers)
    return lambda request: left.pop(0)


@both
def test_a_refusal_for_now_is_tried_again_with_the_same_key_and_not_before_it_says(create: Call) -> None:
    answers = in_turn(Answer(503, {}, {"retry-after": "1"}), Answer(None), Answer(502, b"bad"), Answer(201, PROJECT))
    with double(answers) as server:
        began = time.monotonic()
        assert create(server.url).project_id == PROJECT["project_id"]
        assert time.monotonic() - began >= 1.0
        keys = {request.headers["idempotency-key"] for request in server.requests}
        assert (len(server.requests), len(keys)) == (4, 1)
        assert {request.headers["authorization"] for request in server.requests} == {"Bearer eyl_sk_x"}


@both
def test_a_problem_is_an_error_with_its_fields_and_is_not_tried_again(create: Call) -> None:
    problem = {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "Some fields are missing or wrong.",
        "request_id": "r-1",
        "errors": {"name": ["This field is required."]},
    }
    with double(lambda request: Answer(400, problem)) as server:
        with pytest.raises(ApiError) as caught:
            create(server.url)
        assert len(server.requests) == 1
    error = caught.value
    assert (error.status, error.title, error.detail) == (400, "Bad Request", "Some fields are missing or wrong.")
    assert (error.errors, error.request_id) == ({"name": ["This field is required."]}, "r-1")
    assert "name: This field is required." in str(error)
    assert "r-1" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (again.status, again.errors, str(again)) == (error.status, error.errors, str(error))


@both
def test_an_answer_of_something_before_the_server_is_an_error_too(create: Call) -> None:
    with double(lambda request: Answer(404, b"<html>not here</html>", {"content-type": "text/html"})) as server:
        with pytest.raises(ApiError, match="not here") as caught:
            create(server.url)
        assert caught.value.errors == {}
    with double(lambda request: Answer(200, b"<html>hello</html>")) as server:
        with pytest.raises(EyelineError, match="not JSON"):
            create(server.url)


@both
def test_attempts_end_at_the_deadline(create: Call) -> None:
    with double(lambda request: Answer(503, {"title": "Service Unavailable"})) as server:
        with pytest.raises(ApiError):
            create(server.url, retry_for=5.0)
        assert len(server.requests) > 1
        address = server.url
    with pytest.raises(NetworkError, match=address):
        create(address, retry_for=0.2)
    with pytest.raises(NetworkError):
        create("http://[::1]:0", retry_for=0)


def test_an_address_that_is_none_is_told_at_once() -> None:
    for address in ("", "localhost:8009", "ftp://x"):
        with pytest.raises(ValueError, match="http"):
            Eyeline(address)


def test_a_request_that_must_not_be_repeated_is_not() -> None:
    once = Attempts(10, repeatable=False)
    assert once.after_status(500, {}) is None
    assert once.after_network_error(sent=True) is None
    assert once.after_network_error(sent=False) is not None
    assert once.after_status(503, {}) is not None
    for status in (400, 401, 403, 404, 409, 412, 413, 422, 501):
        assert Attempts(10, repeatable=True).after_status(status, {}) is None


def test_waits_grow_with_jitter_to_a_limit_and_follow_the_server() -> None:
    for attempt in range(2000):
        limit = min(BACKOFF_MAX, 0.25 * 2 ** min(attempt, 16))
        assert limit / 2 <= backoff(attempt) <= limit
    assert len({backoff(5) for _ in range(20)}) > 1
    assert retry_after({"retry-after": "7"}) == 7.0
    date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=30), usegmt=True)
    assert 28 < (retry_after({"retry-after": date}) or 0) <= 30
    for wrong in ("", "soon", "-1", "²"):
        assert retry_after({"retry-after": wrong}) is None
    assert Attempts(5, repeatable=True).after_status(429, {"retry-after": "10"}) is None
