"""What is generated is what is committed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "generate.py"


def test_the_blocking_client_is_that_of_the_asynchronous_one() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_type_of_the_http_library_is_on_the_surface() -> None:
    script = """
import inspect, typing, eyeline
from eyeline._operations import OPERATIONS
from functools import reduce
shown = [getattr(eyeline, name) for name in eyeline.__all__ if name != "models"]
for client in (eyeline.Eyeline, eyeline.AsyncEyeline):
    made = client("http://127.0.0.1:9")
    shown += [reduce(getattr, operation.method.split("."), made) for operation in OPERATIONS.values()]
    shown += [made.images.upload, made.images.upload_many, made.images.send, made.images.wait]
    shown += [made.events.track, made.flush]
count = 0
for thing in shown:
    if callable(thing) and not (inspect.isclass(thing) and issubclass(thing, Exception)):
        count += 1
        assert "httpx" not in str(inspect.signature(thing)), thing
        assert thing.__doc__, thing
print(count)
"""
    source = Path(__file__).resolve().parent.parent / "src"
    env = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 130
