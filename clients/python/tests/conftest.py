"""The server under test: the built binary, on a free port, with a data folder of its own."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from eyeline import Eyeline

READY_SECONDS = 60
STOP_SECONDS = 60


class Server:
    """A process of the binary that can be killed and started again on the same data."""

    def __init__(self, folder: Path, **settings: str) -> None:
        binary = os.environ.get("EYELINE_BINARY")
        assert binary, "EYELINE_BINARY has to name the built binary"
        self._binary = str(Path(binary).resolve(strict=True))
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.admin_key = f"eyl_admin_{secrets.token_hex(32)}"
        own = {key: value for key, value in os.environ.items() if not key.startswith("EYELINE_")}
        self._environment = own | {
            "EYELINE_LISTEN": f"127.0.0.1:{port}",
            "EYELINE_PUBLIC_URL": self.url,
            "EYELINE_DATA": str(folder / "data"),
            "EYELINE_ADMIN_KEY": self.admin_key,
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Starts the process; returns when it is ready."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "serve"],
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            assert self._process.poll() is None, f"the server ended:\n{self.log()}"
            assert time.monotonic() < deadline, f"the server was not ready in time:\n{self.log()}"
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """Ends the process as a power switch would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Asks the process to end."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)

    def log(self) -> str:
        """The end of what the server wrote."""
        return (self._folder / "log").read_text(errors="replace")[-8000:]

    def tenant(self, name: str = "shop") -> Tenant:
        """Makes a project with an application."""
        with Eyeline(self.url, key=self.admin_key) as admin:
            project = admin.projects.create(name)
            application = admin.applications.create(project.project_id, name, allowed_origins=["https://shop.example"])
        assert application.secret_key
        return Tenant(self.url, project.project_id, application.application_id, application.secret_key, self.admin_key)


@dataclass(frozen=True)
class Tenant:
    """What a customer of the server holds."""

    url: str
    project_id: str
    application_id: str
    secret_key: str
    admin_key: str

    def environment(self) -> dict[str, str]:
        """The environment of a program that uses the client."""
        here = Path(__file__).resolve().parent.parent
        return os.environ | {
            "PYTHONPATH": os.pathsep.join([str(here / "src"), str(here / "examples")]),
            "EYELINE_URL": self.url,
            "EYELINE_KEY": self.secret_key,
            "EYELINE_PROJECT": self.project_id,
            "EYELINE_APPLICATION": self.application_id,
        }


ServerMaker = Callable[..., Server]


@pytest.fixture(scope="session")
def make_server() -> Iterator[ServerMaker]:
    """Starts servers; stops them at the end."""
    servers: list[Server] = []
    with tempfile.TemporaryDirectory(prefix="eyeline-python-", ignore_cleanup_errors=True) as root:

        def make(**settings: str) -> Server:
            folder = Path(root) / str(len(servers))
            folder.mkdir()
            server = Server(folder, **settings)
            servers.append(server)
            return server

        yield make
        for server in servers:
            server.stop()


@pytest.fixture(scope="session")
def server(make_server: ServerMaker) -> Server:
    """A server that all tests of a file share."""
    return make_server(EYELINE_TEST_CLOCK="1")


@pytest.fixture
def tenant(server: Server) -> Tenant:
    """A project of its own."""
    return server.tenant()


@pytest.fixture
def client(tenant: Tenant) -> Iterator[Eyeline]:
    """A blocking client with the secret key of the tenant."""
    with Eyeline(tenant.url, key=tenant.secret_key) as client:
        yield client
