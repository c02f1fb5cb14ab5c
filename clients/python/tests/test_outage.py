"""A server that is killed and away for 30 seconds while events come in."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from uuid import uuid4

from conftest import ServerMaker
from counting import event_ids

from eyeline import EventOptions, Eyeline

EVENTS_A_SECOND = 200
BEFORE, AWAY, AFTER = 2.0, 30.0, 2.0


def test_no_event_is_lost_or_doubled_by_a_server_that_is_killed_for_30_seconds(
    make_server: ServerMaker, tmp_path: Path
) -> None:
    server = make_server()
    # Both kinds of queue go through the same outage.
    tenants = {"memory": server.tenant("memory"), "spool": server.tenant("spool")}
    options = {
        "memory": EventOptions(interval=0.5),
        "spool": EventOptions(interval=0.5, spool=tmp_path / "events.db"),
    }
    clients = {
        kind: Eyeline(tenant.url, key=tenant.secret_key, event_options=options[kind])
        for kind, tenant in tenants.items()
    }
    tracked: dict[str, list[str | None]] = {kind: [] for kind in clients}
    ending = threading.Event()

    def visit(kind: str) -> None:
        session_id = uuid4()
        began = time.monotonic()
        number = 0
        while not ending.is_set():
            event_id = clients[kind].events.track("shop", "view", {"number": number}, session_id=session_id)
            tracked[kind].append(event_id)
            number += 1
            time.sleep(max(0.0, began + number / EVENTS_A_SECOND - time.monotonic()))

    visitors = [threading.Thread(target=visit, args=(kind,)) for kind in clients]
    for visitor in visitors:
        visitor.start()
    time.sleep(BEFORE)
    server.kill()
    time.sleep(AWAY)
    server.start()
    time.sleep(AFTER)
    ending.set()
    for visitor in visitors:
        visitor.join()
    for kind, client in clients.items():
        assert client.flush(60), client.events.stats
        stats = client.events.stats
        client.close()
        assert len(tracked[kind]) > EVENTS_A_SECOND * AWAY / 2, "the visitors kept coming"
        assert (stats.tracked, stats.dropped, stats.rejected) == (len(tracked[kind]), 0, 0)
        assert stats.accepted + stats.duplicates >= stats.tracked
        assert stats.retries > 0
        assert sorted(event_ids(tenants[kind], len(tracked[kind]))) == sorted(
            event_id or "lost" for event_id in tracked[kind]
        )
