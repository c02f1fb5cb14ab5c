"""The package builds, installs into an empty project, and works there."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

from conftest import Tenant

HERE = Path(__file__).resolve().parent.parent


def run(*command: str, **options: object) -> str:
    """Runs a program that has to succeed; returns what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_the_package_builds_and_works_in_an_empty_project(tenant: Tenant, tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    # The tools that build are those of this environment, so that nothing else has to be fetched.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(HERE))
    (wheel,) = dist.glob("*.whl")
    (source,) = dist.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(archive.read(name).decode() for name in names if name.endswith("METADATA"))
    assert {"eyeline/__init__.py", "eyeline/py.typed", "eyeline/models.py", "eyeline/_sync/_client.py"} <= names
    assert not any("test" in name for name in names)
    assert "Requires-Python: >=3.10" in metadata
    with tarfile.open(source) as archive:
        assert any(name.endswith("/pyproject.toml") for name in archive.getnames())

    project = tmp_path / "project"
    venv.create(project / "venv", with_pip=True)
    python = str(project / "venv" / "bin" / "python")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", str(wheel))
    script = """
import os
from uuid import uuid4
from eyeline import Eyeline, EyelineError
with Eyeline() as client:
    print(client.server.health().status)
    client.events.track("shop", "view", session_id=uuid4())
    assert client.flush(30)
    answer = client.analytics.sql("SELECT 1 AS n")
    print(answer.rows)
    try:
        answer.to_pandas()
    except EyelineError as error:
        print(error)
"""
    environment = {key: value for key, value in tenant.environment().items() if key != "PYTHONPATH"}
    printed = run(python, "-W", "error", "-c", script, env=environment, cwd=str(project))
    assert printed.splitlines()[:2] == ["ok", "[{'n': 1}]"]
    assert "pip install 'eyeline[pandas]'" in printed
    # What it brings along is little.
    installed = run(
        python, "-m", "pip", "list", "--format=freeze", env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    )
    assert len(installed.split()) <= 12, installed
