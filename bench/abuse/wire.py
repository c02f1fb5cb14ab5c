"""HTTP/1.1 over plain sockets: cheap enough that the load, and not its driver, fills the cores."""

import asyncio
import json
import re
import socket
from collections import Counter
from dataclasses import dataclass

ANSWER_SECONDS_MAX = 60
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


@dataclass
class Answer:
    status: int
    body: bytes

    def json(self):
        return json.loads(self.body)


def request(method, path, headers=None, body=b"", length=None):
    """The bytes of a request. `length` may promise more than `body` has."""
    if not isinstance(body, bytes):
        body = json.dumps(body, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or length or method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def form(fields, filename, content):
    """A multipart body with a file `data` or `file` at its end, and its content type."""
    edge = "edge-of-a-part"
    parts = [f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields]
    name = "file" if fields else "data"
    parts.append(
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        "Content-Type: image/png\r\n\r\n"
    )
    return "".join(parts).encode() + content + f"\r\n--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"


class Connection:
    """A connection, opened at its first use. `receive_bytes` makes its window small."""

    def __init__(self, port, receive_bytes=None):
        self.port, self.receive_bytes = port, receive_bytes
        self.socket, self.rest = None, b""

    async def open(self):
        if self.socket is None:
            opened = socket.socket()
            opened.setblocking(False)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.receive_bytes:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_bytes)
            try:
                await asyncio.get_running_loop().sock_connect(opened, ("127.0.0.1", self.port))
            except BaseException:
                opened.close()
                raise
            self.socket, self.rest = opened, b""

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    async def send(self, data):
        await self.open()
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def _more(self):
        data = await asyncio.get_running_loop().sock_recv(self.socket, 1 << 18)
        if not data:
            raise ConnectionResetError("closed within an answer")
        self.rest += data

    async def answer(self):
        """Reads one answer."""
        while (end := self.rest.find(b"\r\n\r\n")) < 0:
            await self._more()
        head, self.rest = self.rest[:end], self.rest[end + 4 :]
        status = int(_STATUS.match(head)[1])
        if _CHUNKED.search(head):
            body = await self._chunks()
        else:
            length = _LENGTH.search(head)
            size = int(length[1]) if length and status not in (204, 304) else 0
            body = await self._exactly(size)
        if b"connection: close" in head.lower():
            self.close()
        return Answer(status, body)

    async def _exactly(self, size):
        while len(self.rest) < size:
            await self._more()
        body, self.rest = self.rest[:size], self.rest[size:]
        return body

    async def _chunks(self):
        parts = []
        while True:
            while (end := self.rest.find(b"\r\n")) < 0:
                await self._more()
            size = int(self.rest[:end].split(b";")[0], 16)
            self.rest = self.rest[end + 2 :]
            parts.append((await self._exactly(size + 2))[:size])
            if size == 0:
                return b"".join(parts)

    async def ask(self, data, seconds=ANSWER_SECONDS_MAX):
        """Sends a request and reads its answer. The connection is closed if that fails."""
        try:
            async with asyncio.timeout(seconds):
                await self.send(data)
                return await self.answer()
        except BaseException:
            self.close()
            raise

    async def many(self, data, count):
        """Sends `count` requests that `data` holds, without waiting between them, and counts the statuses."""
        seen, rest = Counter(), b""
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await self.open()
                sending = asyncio.ensure_future(self.send(data))
                try:
                    while seen.total() < count:
                        piece = await asyncio.get_running_loop().sock_recv(self.socket, 1 << 18)
                        if not piece:
                            raise ConnectionResetError
                        rest += piece
                        found = list(_STATUS.finditer(rest))
                        seen.update(int(status[1]) for status in found)
                        rest = rest[max(found[-1].end() if found else 0, len(rest) - 12) :]
                finally:
                    sending.cancel()
        except BaseException as error:
            self.close()
            if not isinstance(error, (OSError, TimeoutError)):
                raise
            seen["closed"] += 1
        return seen


class Client:
    """What a benchmark asks outside of the measured time: one request after the other, failures raised."""

    def __init__(self, port, key):
        self.connection, self.headers = Connection(port), {"Authorization": f"Bearer {key}"}

    async def call(self, method, path, body=b"", headers=None, okay=(200, 201, 202, 204)):
        sent = request(method, f"/api/v1{path}", {**self.headers, **(headers or {})}, body)
        try:
            answer = await self.connection.ask(sent)
        except OSError:  # The server ends a connection that has long been silent.
            self.connection.close()
            answer = await self.connection.ask(sent)
        if answer.status not in okay:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:500]!r}")
        return answer.json() if answer.body else None
