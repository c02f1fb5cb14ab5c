"""Which events of a project the server counts."""

from __future__ import annotations

import time

from conftest import Tenant

from eyeline import Eyeline


def event_ids(tenant: Tenant, sent: int, limit: int = 10_000) -> list[str]:
    """The ids of all events of the project, one as often as it is there, once at least as many as were sent count."""
    deadline = time.monotonic() + 60
    with Eyeline(tenant.url, key=tenant.secret_key) as client:
        while True:  # What was accepted is in the roll-ups, and in the answers of SQL, a moment later.
            counted = sum(row.count for row in client.analytics.counts(interval="all").rows)
            answer = client.analytics.sql("SELECT event_id FROM events", limit=limit)
            assert not answer.truncated, f"more than {limit} events"
            ids = [row["event_id"] for row in answer.rows]
            if len(ids) == counted and counted >= sent:
                return ids
            assert time.monotonic() < deadline, f"{sent} events sent, {counted} in the roll-ups, {len(ids)} in SQL"
            time.sleep(0.2)
