#!/usr/bin/env python3
"""Plays simulated visitors over HTTP on a running server with EYELINE_TEST_CLOCK=true, and tells what part of the clicks an order
got that an oracle would have got which knows every image's true appeal.

    EYELINE_TEST_CLOCK=true eyeline serve &
    bench/ranking/drive.py --key eyl_admin_… --scenario static_small --strategy interest

The visitors are those of `eyeline simulate`: they page as deep as they scroll, send a view for every tile down to there and
a click for some, and say which order they saw. One session is 60.48 seconds of the server's clock, so 20,000 are 14 days.
Needs Python alone.
"""

import argparse
import datetime
import http.client
import json
import random
import time
import urllib.parse
import uuid

PLACES = 200
PAGE = 20
SESSION_SECONDS = 60.48
PLAIN = dict(n=1000, T=40000, K=50, alpha="beta", curve="power", stop=0.0, arrive=0.0, age_hl=0, drift_every=0, drift_share=0.0)
SCENARIOS = {
    "static_small": dict(PLAIN, n=200, T=10000, K=20),
    "catalog": dict(PLAIN, n=2000, alpha="zipf", curve="grid"),
    "fresh": dict(PLAIN, arrive=0.05),
    "news": dict(PLAIN, n=500, curve="grid", arrive=0.05, age_hl=8000),
    "drift": dict(PLAIN, drift_every=4000, drift_share=0.15),
    "lowtraffic": dict(PLAIN, n=2000, T=2000, K=10, curve="grid"),
    "cascade": dict(PLAIN, stop=0.5),
}


def curves(kind):
    places = range(PLACES)
    if kind == "grid":
        row = [place // 4 for place in places]
        reach = [0.93 ** row[p] * 0.65 ** (p // PAGE) for p in places]
        return reach, [(1.0, 0.93, 0.88, 0.80)[p % 4] * max(0.40, 0.96 ** row[p]) for p in places]
    return [0.4 ** (p // PAGE) for p in places], [(p + 1.0) ** -0.7 for p in places]


class Api:
    def __init__(self, url, key):
        self.address = urllib.parse.urlsplit(url)
        self.key = key
        self.connection = http.client.HTTPConnection(self.address.netloc)

    def call(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        self.connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text) if text else None


class World:
    def __init__(self, figures, seed):
        self.c, self.random = figures, random.Random(seed)
        arriving = int(figures["arrive"] * figures["T"])
        self.appeals = self.draw(figures["n"] + arriving)
        first = [0.0] * figures["n"]
        if figures["age_hl"]:
            first = sorted(-self.random.random() * 4 * figures["age_hl"] for _ in first)
        self.born = first + [i // figures["arrive"] for i in range(arriving)]
        self.next_drift = figures["drift_every"] or None

    def draw(self, count):
        if self.c["alpha"] == "zipf":
            ranks = list(range(count))
            self.random.shuffle(ranks)
            return [max(0.35 * (rank + 1.0) ** -0.5, 0.004) for rank in ranks]
        return [self.random.betavariate(1, 19) for _ in range(count)]

    def advance(self, session):
        while self.next_drift and session >= self.next_drift:
            fresh = self.draw(len(self.appeals))
            self.appeals = [
                new if self.random.random() < self.c["drift_share"] else old for old, new in zip(self.appeals, fresh)
            ]
            self.next_drift += self.c["drift_every"]
        born = sum(1 for born in self.born if born <= session)
        half_life = self.c["age_hl"]
        fade = (lambda i: 0.5 ** ((session - self.born[i]) / half_life)) if half_life else (lambda i: 1.0)
        return [self.appeals[i] * fade(i) for i in range(born)]


def at(begin, session):
    return (begin + datetime.timedelta(seconds=session * SESSION_SECONDS)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--url", default="http://127.0.0.1:8009")
    arguments.add_argument("--key", required=True, help="the admin key")
    arguments.add_argument("--scenario", choices=SCENARIOS, default="static_small")
    arguments.add_argument("--strategy", default="interest")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--sessions", type=int)
    a = arguments.parse_args()
    figures = dict(SCENARIOS[a.scenario])
    figures["T"] = a.sessions or figures["T"]
    world, visitors = World(figures, a.seed), random.Random(a.seed + 1)
    reach, attention = curves(figures["curve"])
    api = Api(a.url, a.key)
    begin = datetime.datetime(2030, 1, 1) + datetime.timedelta(days=400 * a.seed)
    api.call("POST", "/test/clock", {"now": at(begin, 0)})
    project = api.call("POST", "/projects", {"name": "ranking"})["project_id"]
    application = api.call("POST", "/applications", {"project_id": project, "name": "visitors"})
    visitor_api = Api(a.url, application["secret_key"])
    body = {"project_id": project, "name": a.scenario, "ranking": {"strategy": a.strategy}}
    gallery = api.call("POST", "/galleries", body)["gallery_id"]
    loaded, clicks, oracle, started = 0, 0.0, 0.0, time.monotonic()
    for session in range(0, figures["T"], figures["K"]):
        appeals = world.advance(session)
        api.call("POST", "/test/clock", {"now": at(begin, session)})
        if loaded < len(appeals):
            rows = [
                {"external_id": str(i), "url": f"https://cdn.example/{i}.jpg", "created_at": at(begin, world.born[i])}
                for i in range(loaded, len(appeals))
            ]
            api.call("POST", f"/galleries/{gallery}/dataset", rows)
            loaded = len(appeals)
        api.call("POST", f"/galleries/{gallery}/refresh")
        best = sorted(appeals, reverse=True)[:PLACES]
        for _ in range(min(figures["K"], figures["T"] - session)):
            patience = visitors.random()
            depth = sum(1 for chance in reach if chance >= patience)
            session_id, cursor, seen = str(uuid.UUID(int=visitors.getrandbits(128), version=4)), None, []
            while len(seen) < min(depth, len(appeals)):
                place = f"cursor={cursor}" if cursor else f"session_id={session_id}"
                page = visitor_api.call("GET", f"/galleries/{gallery}/images?limit={PAGE}&{place}")
                seen += [(item["image_id"], int(item["external_id"])) for item in page["items"]]
                cursor = page["next_cursor"]
                if not cursor:
                    break
            events, left = [], 1.0
            gone = False
            for place, (image_id, image) in enumerate(seen[:depth]):
                chance = attention[place] * appeals[image]
                clicks += left * chance
                left *= 1 - figures["stop"] * chance
                if gone:
                    continue
                data = {"gallery_id": gallery, "image_id": image_id, "order_id": page["order_id"]}
                event = {"session_id": session_id, "category": "gallery", "data": data, "timestamp": at(begin, session)}
                events.append(dict(event, name="view"))
                if visitors.random() < chance:
                    events.append(dict(event, name="click"))
                    gone = visitors.random() < figures["stop"]
            left = 1.0
            for place in range(min(depth, len(best))):
                oracle += left * attention[place] * best[place]
                left *= 1 - figures["stop"] * attention[place] * best[place]
            visitor_api.call("POST", "/events/batch", {"events": events})
    seconds = time.monotonic() - started
    fraction = round(clicks / oracle, 4)
    print(json.dumps(dict(strategy=a.strategy, scenario=a.scenario, seed=a.seed, sessions=figures["T"], fraction=fraction, seconds=round(seconds, 1))))


if __name__ == "__main__":
    main()
