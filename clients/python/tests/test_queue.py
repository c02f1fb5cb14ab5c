"""The queue of events: batches, bounds, trouble, and what it tells about losses."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from doubles import Answer, Request, accepting, double

from eyeline import EventOptions, Eyeline
from eyeline._events.stores import LEASE_SECONDS, DiskStore, MemoryStore

SESSION = str(uuid4())


def client_of(url: str, **options: Any) -> Eyeline:
    return Eyeline(url, key="eyl_sk_x", event_options=EventOptions(**options))


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.01)


def names(requests: list[Request]) -> list[str]:
    return [event["name"] for request in requests for event in request.events()]


def test_a_hundred_events_are_sent_at_once_and_fewer_after_the_interval() -> None:
    with double(accepting) as server, client_of(server.url, interval=600) as client:
        for number in range(250):
            client.events.track("shop", f"n{number}", {"n": number}, session_id=SESSION)
        until(lambda: client.events.stats.accepted == 200)
        assert [len(request.events()) for request in server.requests] == [100, 100]
        assert client.events.stats.waiting == 50
        assert client.flush(10)
        assert names(server.requests) == [f"n{number}" for number in range(250)]
        headers = server.requests[0].headers
        assert (headers["content-encoding"], headers["content-type"]) == ("gzip", "application/x-ndjson")
    with double(accepting) as server, client_of(server.url, interval=0.2) as client:
        client.events.track("shop", "one", session_id=SESSION)
        until(lambda: client.events.stats.accepted == 1)


def test_an_event_is_fixed_when_it_is_tracked() -> None:
    with double(accepting) as server, client_of(server.url) as client:
        data = {"items": [1]}
        event_id = client.events.track("shop", "cart", data, session_id=UUID(SESSION), visitor_id="v")
        data["items"].append(2)
        assert client.flush(10)
        (event,) = server.requests[0].events()
    assert event["data"] == {"items": [1]}
    assert (event["event_id"], event["session_id"], event["visitor_id"]) == (event_id, SESSION, "v")
    assert UUID(event["event_id"]).version == 7
    assert event["timestamp"].endswith("Z")
    assert set(event) == {"event_id", "session_id", "category", "name", "timestamp", "data", "visitor_id"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"session_id": "nobody"}, "session_id"),
        ({"session_id": None}, "session_id"),
        ({"event_id": "1"}, "event_id"),
        ({"category": ""}, "category"),
        ({"name": None}, "name"),
        ({"data": [1]}, "data"),
        ({"data": {"x": object()}}, "object"),
        ({"data": {"x": float("nan")}}, "JSON"),
        ({"data": {"x": "y" * 200_000}}, "bytes"),
        ({"timestamp": datetime(2021, 1, 1)}, "zone"),
    ],
)
def test_what_cannot_be_sent_is_told_where_it_is_tracked(change: dict[str, Any], said: str) -> None:
    with client_of("http://127.0.0.1:9") as client:
        with pytest.raises(ValueError, match=said):
            client.events.track(**({"category": "shop", "name": "x", "session_id": SESSION} | change))
        assert client.events.stats.tracked == 0


def test_a_batch_is_sent_again_until_it_is_taken_and_its_ids_stay() -> None:
    answers = [Answer(503, {}, {"retry-after": "1"}), Answer(None), Answer(500, {}), Answer(401, {"detail": "who?"})]

    def answer(request: Request) -> Answer:
        return answers.pop(0) if answers else accepting(request)

    with double(answer) as server, client_of(server.url) as client:
        began = time.monotonic()
        client.events.track("shop", "x", session_id=SESSION)
        assert client.flush(30)
        assert time.monotonic() - began >= 1
        assert len({request.events()[0]["event_id"] for request in server.requests}) == 1
        stats = client.events.stats
    assert (len(server.requests), stats.accepted, stats.retries, stats.waiting) == (5, 1, 4, 0)
    assert "who?" in (stats.last_error or "")


def test_a_full_queue_loses_new_events_counts_them_and_tells(caplog: pytest.LogCaptureFixture) -> None:
    with double(lambda request: Answer(503, {})) as server:
        client = client_of(server.url, max_events=5, exit_timeout=0.2)
        ids = [client.events.track("shop", "x", session_id=SESSION) for _ in range(8)]
        assert (ids[5:], None in ids[:5]) == ([None] * 3, False)
        assert (client.events.stats.dropped, client.events.stats.waiting) == (3, 5)
        with caplog.at_level(logging.WARNING, "eyeline.events"):
            client.close()
        assert "5 events were lost" in caplog.text
        assert client.events.stats.dropped == 8
        assert client.events.track("shop", "late", session_id=SESSION) is None
    small = client_of("http://127.0.0.1:9", max_bytes=500, exit_timeout=0)
    assert [small.events.track("shop", "x", {"pad": "y" * 100}, session_id=SESSION) is None for _ in range(3)] == [
        False,
        True,
        True,
    ]
    small.close()


def test_refused_events_are_counted_and_told_and_do_not_hold_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def answer(request: Request) -> Answer:
        events = request.events()
        wrong = [index for index, event in enumerate(events) if event["name"] == "wrong"]
        rejected = [{"index": index, "errors": {"data.n": ["This has to be a number."]}} for index in wrong]
        body = {"accepted": len(events) - len(wrong), "duplicates": 0, "rejected": rejected}
        return Answer(200 if body["accepted"] else 400, body)

    with double(answer) as server, client_of(server.url) as client:
        for name in ("right", "wrong", "right"):
            client.events.track("shop", name, session_id=SESSION)
        assert client.flush(10)
        client.events.track("shop", "wrong", session_id=SESSION)
        assert client.flush(10)
        stats = client.events.stats
    assert (stats.accepted, stats.rejected, stats.retries) == (2, 2, 0)
    assert "data.n" in caplog.text
    problem = {"status": 400, "title": "Bad Request", "detail": "no", "errors": {"application": ["Required."]}}
    with double(lambda request: Answer(400, problem)) as server, client_of(server.url) as client:
        client.events.track("shop", "x", session_id=SESSION)
        assert client.flush(10)
        assert client.events.stats.rejected == 1


def test_a_batch_that_is_too_large_for_something_on_the_way_is_halved() -> None:
    def answer(request: Request) -> Answer:
        return accepting(request) if len(request.events()) <= 2 else Answer(413, {})

    with double(answer) as server, client_of(server.url) as client:
        for number in range(7):
            client.events.track("shop", f"n{number}", session_id=SESSION)
        assert client.flush(10)
        assert client.events.stats.accepted == 7
        taken = [request for request in server.requests if len(request.events()) <= 2]
        assert names(taken) == [f"n{number}" for number in range(7)]


def test_flush_waits_for_what_was_tracked_before_and_not_longer_than_it_may() -> None:
    gate = threading.Event()

    def answer(request: Request) -> Answer:
        gate.wait(20)
        return accepting(request)

    with double(answer) as server, client_of(server.url) as client:
        assert client.flush(0)
        client.events.track("shop", "x", session_id=SESSION)
        assert not client.flush(0.2)
        gate.set()
        assert client.flush(10)


def test_events_of_many_threads_all_arrive_once() -> None:
    with double(accepting) as server, client_of(server.url, batch_events=50) as client:

        def work(thread: int) -> None:
            for number in range(200):
                client.events.track("shop", f"{thread}-{number}", session_id=SESSION)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.flush(20)
        arrived = names(server.requests)
    assert (len(arrived), len(set(arrived))) == (1000, 1000)


def test_a_spool_survives_a_dead_server_and_a_restart_of_the_client(tmp_path: Path) -> None:
    spool = tmp_path / "events.db"
    first = client_of("http://127.0.0.1:9", spool=spool, exit_timeout=0.2, max_events=1)
    ids = [first.events.track("shop", "x", session_id=SESSION) for _ in range(250)]
    first.close()
    assert (first.events.stats.dropped, first.events.stats.waiting) == (0, 250)
    with double(accepting) as server, client_of(server.url, spool=spool) as second:
        # Nothing has to be tracked for the rest to be sent.
        until(lambda: second.events.stats.accepted == 250)
        sent = [event["event_id"] for request in server.requests for event in request.events()]
    assert sent == ids
    with closing(DiskStore(spool, 1_000_000)) as left:
        assert left.count() == 0


def test_a_batch_of_a_dead_process_is_sent_by_another_once_its_lease_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = (DiskStore(tmp_path / "events.db", 1_000_000) for _ in range(2))
    for number in range(5):
        assert ours.put(b"%d" % number) is None
    claimed = theirs.claim(3, 1000)
    assert [entry.line for entry in claimed] == [b"0", b"1", b"2"]
    assert [entry.line for entry in ours.claim(10, 1000)] == [b"3", b"4"]
    assert ours.claim(10, 1000) == []
    for shift in (LEASE_SECONDS + 1, -3 * LEASE_SECONDS):
        later = time.time() + shift
        monkeypatch.setattr(time, "time", lambda later=later: later)
        again = ours.claim(10, 1000)
        assert len(again) == 5
        ours.release(again)
    ours.done(again)
    assert (ours.count(), ours.passed(5)) == (0, True)
    ours.close()
    theirs.close()


def test_a_full_spool_refuses_and_goes_on_once_there_is_room(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "events.db", 100_000)
    refusals = [store.put(b"x" * 1000) for _ in range(200)]
    assert refusals[0] is None
    assert "full" in (refusals[-1] or "")
    kept = refusals.count(None)
    assert store.count() == kept
    store.done(store.claim(kept, 10_000_000))
    assert store.put(b"x" * 1000) is None
    store.sync()
    store.close()
    with closing(sqlite3.connect(tmp_path / "events.db")) as db:
        assert db.execute("SELECT count(*) FROM events").fetchone() == (1,)


def test_stores_cut_batches_by_number_and_by_bytes(tmp_path: Path) -> None:
    for store in (MemoryStore(100, 10_000), DiskStore(tmp_path / "events.db", 1_000_000)):
        for number in range(4):
            store.put(b"%d" % number * 100)
        assert len(store.claim(10, 250)) == 2
        store.close()


def test_options_out_of_range_are_told() -> None:
    for wrong in ({"batch_events": 0}, {"batch_events": 10_000}, {"interval": 0}, {"max_events": 0}):
        with pytest.raises(ValueError, match=r"has to be|have to be"):
            EventOptions(**wrong)  # type: ignore[arg-type]
