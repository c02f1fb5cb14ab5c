"""What the measured project sees: health, events, pages and questions, asked at a steady pace."""

import asyncio
import math
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

from tenants import event
from wire import Connection, request

PACE_SECONDS = {"health": 0.1, "events": 0.05, "pages": 0.05, "sql": 1.0, "counts": 1.0}
QUERY = "SELECT name, count(*) AS n, sum((data->>'price')::numeric) FROM events GROUP BY name ORDER BY n DESC LIMIT 20"


def quantile(values, share):
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass
class Seen:
    """Seconds of each answer, and what was no success, by kind of request."""

    seconds: dict = field(default_factory=lambda: {kind: [] for kind in PACE_SECONDS})
    wrong: Counter = field(default_factory=Counter)
    events_accepted: int = 0

    def add(self, other):
        for kind, values in other.seconds.items():
            self.seconds[kind] += values
        self.wrong += other.wrong
        self.events_accepted += other.events_accepted


class Victim:
    def __init__(self, tenant):
        public, key = {"application": tenant.application_id}, {"Authorization": f"Bearer {tenant.key}"}
        project = f"project_id={tenant.project_id}"
        page = request("GET", f"/api/v1/galleries/{tenant.gallery_id}/images?limit=20", public)
        sql = request("POST", f"/api/v1/analytics/sql?{project}", key, {"query": QUERY})
        counts = request("GET", f"/api/v1/analytics/counts?{project}&group_by=category,name", key)

        def one_event():
            data = {"gallery_id": tenant.gallery_id, "image_id": tenant.image_ids[0]}
            # With an id, so that a second try after a lost connection counts once.
            visit = event("gallery", "view", data, event_id=str(uuid.uuid4()))
            return request("POST", "/api/v1/events", public, visit)

        self.port = tenant.port
        self.requests = {
            "health": lambda: request("GET", "/healthz"),
            "events": one_event,
            "pages": lambda: page,
            "sql": lambda: sql,
            "counts": lambda: counts,
        }
        self.idle = {kind: [] for kind in self.requests}

    async def look(self, seconds):
        """Asks for so many seconds. A late answer delays no further request: each is sent at its moment."""
        seen = Seen()

        async def paced(kind, pace):
            asked, start = [], time.monotonic()
            for number in range(round(seconds / pace)):
                await asyncio.sleep(max(0, start + number * pace - time.monotonic()))
                asked.append(asyncio.create_task(self._ask(kind, seen)))
            await asyncio.gather(*asked)

        await asyncio.gather(*(paced(kind, pace) for kind, pace in PACE_SECONDS.items()))
        return seen

    async def _ask(self, kind, seen):
        data, began = self.requests[kind](), time.monotonic()
        # Health is asked over a new connection each time, as a load balancer does.
        kept = self.idle[kind].pop() if self.idle[kind] and kind != "health" else None
        try:
            try:
                answer = await self._over(kind, kept or Connection(self.port), data)
            except ConnectionError:
                if kept is None:
                    raise
                # As any client does when a connection that it kept has been closed.
                answer = await self._over(kind, Connection(self.port), data)
        except OSError as error:  # Time-outs too.
            seen.wrong[kind, type(error).__name__] += 1
            return
        seen.seconds[kind].append(time.monotonic() - began)
        if answer.status not in (200, 201):
            seen.wrong[kind, answer.status] += 1
        elif kind == "events":
            seen.events_accepted += 1

    async def _over(self, kind, connection, data):
        answer = await connection.ask(data)
        if kind == "health":
            connection.close()
        else:
            self.idle[kind].append(connection)
        return answer
