"""Which events of a project the server counts."""

from __future__ import annotations

from conftest import Tenant

from eyeline import Eyeline


def event_ids(tenant: Tenant, limit: int = 10_000) -> list[str]:
    """The ids of all events of the project, one as often as it is there."""
    with Eyeline(tenant.url, key=tenant.secret_key) as client:
        counted = sum(row.count for row in client.analytics.counts(interval="all").rows)
        answer = client.analytics.sql("SELECT event_id FROM events", limit=limit)
    assert not answer.truncated, f"more than {limit} events"
    ids = [row["event_id"] for row in answer.rows]
    assert len(ids) == counted, "the roll-ups and the events agree"
    return ids
