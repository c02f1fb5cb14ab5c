"""What the end of a process, a kill and a fork do to queued events: nothing is lost, nothing counts twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import Server, Tenant
from counting import event_ids

BEGIN = r"""
import os, sys
from uuid import uuid4
from eyeline import EventOptions, Eyeline

SESSION = uuid4()

def client_with(**options):
    # The machine may be busy; a program of its own decides how long its end may take.
    return Eyeline(event_options=EventOptions(**{"interval": 600, "exit_timeout": 60, **options}))

def track(client, count):
    for _ in range(count):
        event_id = client.events.track("shop", "view", {"pid": os.getpid()}, session_id=SESSION)
        # One write a line, so that processes do not write into each other's lines.
        os.write(1, f"{event_id}\n".encode())
"""


def run(tenant: Tenant, script: str, url: str | None = None) -> tuple[int, list[str], str]:
    """Runs a program; returns its status, what it printed, and what it complained of."""
    environment = tenant.environment() | ({"EYELINE_URL": url} if url else {})
    command = [sys.executable, "-c", BEGIN + textwrap.dedent(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout.split(), done.stderr


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("pass", 0),
        ("sys.exit(3)", 3),
        ("raise RuntimeError('gone')", 1),
        ("import threading; threading.Thread(target=track, args=(client, 50)).start()", 0),
        ("import atexit; atexit.register(track, client, 50)", 0),
    ],
)
def test_a_program_that_ends_in_the_middle_sends_what_is_queued(tenant: Tenant, end: str, status: int) -> None:
    returned, tracked, complaint = run(tenant, f"client = client_with()\ntrack(client, 250)\n{end}")
    assert returned == status, complaint
    assert len(tracked) >= 250
    assert sorted(event_ids(tenant, len(tracked))) == sorted(tracked)


def test_a_program_that_ends_without_a_server_ends_in_time_and_tells_its_losses(tenant: Tenant) -> None:
    script = "client = client_with(exit_timeout=0.5)\ntrack(client, 120)"
    returned, tracked, complaint = run(tenant, script, url="http://127.0.0.1:9")
    assert (returned, len(tracked)) == (0, 120)
    assert "120 events were lost" in complaint


def test_a_killed_program_leaves_its_events_in_the_spool_for_the_next(tenant: Tenant, tmp_path: Path) -> None:
    spool = tmp_path / "events.db"
    kill = f"client = client_with(spool={str(spool)!r})\ntrack(client, 330)\nos.kill(os.getpid(), 9)"
    returned, tracked, complaint = run(tenant, kill)
    assert returned == -signal.SIGKILL, complaint
    assert len(tracked) == 330
    # What was on its way at the kill is leased to the dead process for a minute; this one was just begun.
    forget = (
        f"import sqlite3\nwith sqlite3.connect({str(spool)!r}) as db: db.execute('UPDATE events SET leased_until = 0')"
    )
    again = f"{forget}\nclient = client_with(spool={str(spool)!r})\nprint(client.flush(60))\nclient.close()"
    returned, _, complaint = run(tenant, again)
    assert returned == 0, complaint
    assert sorted(event_ids(tenant, len(tracked))) == sorted(tracked)


@pytest.mark.parametrize("where", ["memory", "spool"])
@pytest.mark.parametrize("child_ends", ["sys.exit()", "client.close(); os._exit(0)"])
def test_a_forked_process_has_a_queue_of_its_own(tenant: Tenant, tmp_path: Path, where: str, child_ends: str) -> None:
    options = f"spool={str(tmp_path / 'events.db')!r}" if where == "spool" else ""
    script = f"""
    client = client_with({options})
    track(client, 50)
    client.server.readiness()
    child = os.fork()
    if child == 0:
        assert client.events.stats.tracked == 0
        track(client, 130)
        client.server.readiness()
        {child_ends}
    track(client, 40)
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))
    """
    returned, tracked, complaint = run(tenant, script)
    assert returned == 0, complaint
    assert len(set(tracked)) == 220
    assert sorted(event_ids(tenant, len(tracked))) == sorted(tracked)


def test_processes_of_multiprocessing_send_what_they_queued(tenant: Tenant) -> None:
    script = """
    import multiprocessing
    client = client_with()
    track(client, 20)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=track, args=(client, 70)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    """
    returned, tracked, complaint = run(tenant, script)
    assert returned == 0, complaint
    assert len(set(tracked)) == 230
    assert sorted(event_ids(tenant, len(tracked))) == sorted(tracked)


def test_several_programs_share_a_spool(server: Server, tmp_path: Path) -> None:
    tenant = server.tenant()
    script = f"client = client_with(spool={str(tmp_path / 'events.db')!r})\ntrack(client, 150)"
    command = [sys.executable, "-c", BEGIN + script]
    running = [subprocess.Popen(command, env=tenant.environment(), stdout=subprocess.PIPE, text=True) for _ in range(3)]
    tracked = [line for program in running for line in program.communicate(timeout=120)[0].split()]
    assert [program.returncode for program in running] == [0, 0, 0]
    assert len(set(tracked)) == 450
    assert sorted(event_ids(tenant, len(tracked))) == sorted(tracked)
