"""Attacks a server from one project, and measures another project without and under the attack, in turns."""

import argparse
import asyncio
import multiprocessing
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import attacks
from server import Server, allow_open_files, busy_seconds
from tenants import SEED_EVENTS, arm, found
from victim import Seen, Victim, quantile
from wire import Client

RSS_MAX = round(1.3 * (1 << 30))
FLOOR_SECONDS = 0.05
SETTLED_SECONDS_MAX = 120
# The load stands for other machines. It shares this one's cores, so it yields to what is measured.
NICE = 15


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--eyeline", required=True, help="the binary")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS") or 3))
    parser.add_argument("--seconds", type=float, default=40, help="how long each attack lasts")
    parser.add_argument("--quiet-seconds", type=float, default=30)
    names = os.environ.get("ATTACKS", "").split() or list(attacks.ATTACKS)
    parser.add_argument("--attacks", nargs="+", default=names, choices=attacks.ATTACKS, metavar="NAME")
    return parser.parse_args()


async def settle(server):
    """Waits until the server has nothing to do, so that a quiet value is one. Says whether it came to rest."""
    end = time.monotonic() + SETTLED_SECONDS_MAX
    while time.monotonic() < end:
        before = sum(server.cpu_seconds())
        await asyncio.sleep(2)
        if sum(server.cpu_seconds()) - before < 0.2:
            return True
    return False


async def attacked(victim, tenant, chosen, seconds):
    """What the victim sees while the attacks run, each in a process of its own."""
    loop, until = asyncio.get_running_loop(), time.monotonic() + seconds + 5
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(len(chosen), mp_context=context, initializer=os.nice, initargs=(NICE,)) as pool:
        running = [loop.run_in_executor(pool, attacks.run, name, tenant, until) for name in chosen]
        await asyncio.sleep(5)  # The attacks open their connections.
        seen = await victim.look(seconds)
        return seen, dict(zip(chosen, await asyncio.gather(*running), strict=True))


async def counted(admin, tenant, expected):
    """The victim's events by roll-up and by SQL. Waits for a minute before it believes that some are lost."""
    end = time.monotonic() + 60
    while True:
        path = f"/analytics/counts?project_id={tenant.project_id}&interval=all&sessions=false"
        rows = (await admin.call("GET", path))["rows"]
        rolled = sum(row["count"] for row in rows)
        query = {"query": "SELECT count(*) AS n FROM events"}
        asked = await admin.call("POST", f"/analytics/sql?project_id={tenant.project_id}", query)
        raw = asked["rows"][0]["n"]
        if rolled == raw == expected or time.monotonic() > end:
            return rolled, raw
        await asyncio.sleep(1)


def table(quiet, under):
    """The rows of the answer: name, quiet, under attack, bound, and whether it was held."""
    rows = []
    for kind, share in [("health", 0.99), ("events", 0.99), ("pages", 0.99), ("sql", 0.95), ("counts", 0.95)]:
        values = [phase.seen.seconds[kind] for phase in (quiet, under)]
        if not all(values):
            rows.append((f"{kind}: answers", *(len(some) for some in values), "some", False))
            continue
        before, after = (quantile(some, share) for some in values)
        bound = 3 * before if share == 0.95 else max(2 * before, FLOOR_SECONDS)
        rows.append((f"{kind}: median", *(milliseconds(quantile(some, 0.5)) for some in values), "", None))
        rows.append((f"{kind}: p{share * 100:.0f}", *map(milliseconds, (before, after, bound)), after <= bound))
    mib = [f"{value >> 20} MiB" for value in (quiet.server_peak, under.server_peak, RSS_MAX)]
    rows.append(("server: most resident memory", *mib, under.server_peak <= RSS_MAX))
    rows.append(
        ("workers: the same, together", *(f"{phase.workers_peak >> 20} MiB" for phase in (quiet, under)), "", None)
    )
    cores = [" + ".join(f"{value:.2f}" for value in phase.cores()) for phase in (quiet, under)]
    rows.append(("cores: server + workers + this program + others", *cores, "", None))
    return rows


def milliseconds(seconds):
    return f"{seconds * 1000:.1f} ms"


def markdown(rows):
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)


async def main():
    chosen = options()
    allow_open_files()
    server = Server(chosen.eyeline)
    try:
        server.wait_until_ready()
        return await rounds(server, chosen)
    finally:
        server.stop()


@dataclass
class Phase:
    """All rounds of one kind: quiet, or under attack."""

    seen: Seen = field(default_factory=Seen)
    server_peak: int = 0
    workers_peak: int = 0
    seconds: float = 0
    #: CPU seconds of the server, its workers, this program with its attacks, and the whole machine.
    cpu: list = field(default_factory=lambda: [0.0] * 4)

    async def measure(self, server, work):
        server.forget_peak()
        before, began = cpu(server), time.monotonic()
        now = await work
        self.seen.add(now)
        self.seconds += time.monotonic() - began
        self.cpu = [sum + after - before for sum, after, before in zip(self.cpu, cpu(server), before, strict=True)]
        self.server_peak = max(self.server_peak, server.peak())
        self.workers_peak = max(self.workers_peak, server.workers_peak)

    def cores(self):
        """The same as numbers of cores; the last is what others took of the machine."""
        own = [seconds / max(self.seconds, 0.001) for seconds in self.cpu]
        return [*own[:3], max(0.0, own[3] - sum(own[:3]))]


def cpu(server):
    own = sum(os.times()[:4])  # Children that have ended are in it: the attacks of a phase end with it.
    return [*server.cpu_seconds(), own, busy_seconds()]


async def rounds(server, chosen):
    admin = Client(server.port, server.key)
    tenant = await found(admin, "victim")
    victim = Victim(tenant)
    first = await victim.look(3)  # The first SQL query starts the first worker.
    quiet, under, answers, restless = Phase(), Phase(), {name: Counter() for name in chosen.attacks}, 0

    async def attack(attacker):
        seen, answered = await attacked(victim, attacker, chosen.attacks, chosen.seconds)
        for name, counts in answered.items():
            answers[name] += counts
        return seen

    for number in range(1, chosen.rounds + 1):
        attacker = await found(admin, f"attacker {number}")
        await arm(attacker)
        restless += not await settle(server)
        await quiet.measure(server, victim.look(chosen.quiet_seconds))
        await under.measure(server, attack(attacker))
        print(f"round {number} of {chosen.rounds}: load {os.getloadavg()[0]:.1f}", file=sys.stderr)
        if server.has_died():
            print(f"The server died:\n{server.log_tail()}")
            return 1
        await admin.call("DELETE", f"/projects/{attacker.project_id}")
    expected = SEED_EVENTS + sum(seen.events_accepted for seen in (first, quiet.seen, under.seen))
    events = (expected, *await counted(admin, tenant, expected))
    return report(chosen, quiet, under, answers, restless, events)


def report(chosen, quiet, under, answers, restless, events):
    expected, rolled, raw = events
    wrong = quiet.seen.wrong + under.seen.wrong
    said = {True: "held", False: "MISSED", None: ""}
    rows = table(quiet, under)
    rows.append(("requests that failed", quiet.seen.wrong.total(), under.seen.wrong.total(), 0, not wrong))
    rows.append(("events counted: by roll-up, by SQL", "", f"{rolled}, {raw}", expected, rolled == raw == expected))
    head = [("value", "quiet", "under attack", "bound", ""), ("---", "--:", "--:", "--:", "---")]
    print(f"\n{chosen.rounds} rounds: {chosen.quiet_seconds:.0f} s quiet, {chosen.seconds:.0f} s under attack\n")
    print(markdown(head + [(*cells, said[held]) for *cells, held in rows]))
    print(f"\n{markdown([('attack', 'credential', 'answers'), ('---', '---', '---')])}")
    for name, counts in answers.items():
        told = ", ".join(f"{count:,} × {status}" for status, count in sorted(counts.items(), key=str))
        print(markdown([(name, attacks.ATTACKS[name][1], told or "none")]))
    if restless:
        print(f"\nThe server was still at work before {restless} of {chosen.rounds} quiet values.")
    for (kind, what), count in sorted(wrong.items(), key=str):
        print(f"\n{count} of the victim's requests for {kind} failed: {what}")
    return 1 if wrong or not rolled == raw == expected else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
