# SPDX-License-Identifier: Apache-2.0
"""The Hub's HTTP/1.1: requests in, answers out, with the trouble that was ordered."""

import asyncio
import socket
import struct
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

HEAD_MAX = 64 * 1024
CHUNK = 64 * 1024
PHRASES = {200: "OK", 206: "Partial Content", 307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized",
           403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 416: "Range Not Satisfiable",
           429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}
PORTAL = b"<html><body>Please log in to the network</body></html>"


@dataclass
class Request:
    """What was asked, and what became of it: also the Hub's record."""
    host: str  # registry, cdn, token
    method: str
    target: str
    headers: dict
    kind: str = "other"
    name: str = ""
    reference: str = ""
    certificate: str = ""  # the name in the client's certificate
    status: int = 0     # 0: no answer yet
    sent: int = 0       # bytes of body
    is_done: bool = False
    began: float = field(default_factory=time.monotonic)

    @property
    def path(self):
        return unquote(urlsplit(self.target).path)

    @property
    def query(self):
        return {key: values[-1] for key, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def authorization(self):
        return self.headers.get("authorization", "")

    def __str__(self):
        span = self.headers.get("range", "")
        return f"{self.host} {self.method} {self.target} {span} -> {self.status}, {self.sent} bytes"


@dataclass
class Answer:
    status: int
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    offset: int = 0       # of body within the whole, for flip_at
    whole: int = None     # size of the whole
    full_body: bytes = None  # for a range: the whole, for ignore_range


async def read_request(reader, host):
    """None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, OSError):
        return None
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    headers = {}
    for line in lines[1:]:
        if line:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    if length:
        await reader.readexactly(length)
    return Request(host, method, target, headers)


def parse_range(text, size):
    """(first, last) of one range, or None."""
    if not text or not text.startswith("bytes=") or "," in text:
        return None
    first, _, last = text[6:].partition("-")
    if first == "":
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1


def ranged(request, content, headers):
    span = parse_range(request.headers.get("range"), len(content))
    if span is None:
        return Answer(200, headers, content, 0, len(content))
    first, last = span
    if first >= len(content) or first > last:
        return Answer(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
    headers = dict(headers)
    headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
    return Answer(206, headers, memoryview(content)[first:last + 1], first, len(content), content)


def troubled(answer, trouble):
    """The answer, with what the faults do to its head and bytes."""
    if trouble.status is not None:
        answer = Answer(trouble.status, {"Content-Type": "application/json"}, b'{"errors":[{"code":"UNKNOWN"}]}')
    if trouble.retry_after is not None:
        answer.headers["Retry-After"] = trouble.retry_after
    if trouble.html:
        answer = Answer(200, {"Content-Type": "text/html"}, PORTAL)
    if trouble.ignore_range and answer.status == 206:
        answer.headers.pop("Content-Range")
        answer.status, answer.body, answer.offset = 200, answer.full_body, 0
    if trouble.content_range is not None and answer.status == 206:
        answer.headers["Content-Range"] = trouble.content_range
    if trouble.digest_header is not None:
        answer.headers["Docker-Content-Digest"] = trouble.digest_header
    if trouble.encoding is not None:
        answer.headers["Content-Encoding"] = trouble.encoding
    if trouble.location is not None and "Location" in answer.headers:
        answer.headers["Location"] = trouble.location
    if trouble.flip_at is not None and answer.status in (200, 206):
        at = trouble.flip_at if trouble.flip_at >= 0 else (answer.whole or len(answer.body)) + trouble.flip_at
        if 0 <= at - answer.offset < len(answer.body):
            answer.body = bytearray(answer.body)
            answer.body[at - answer.offset] ^= 0x55
    if trouble.short:
        answer.body = answer.body[:max(0, len(answer.body) - trouble.short)]
    if trouble.long:
        answer.body = bytes(answer.body) + b"x" * trouble.long
    return answer


def _reset(writer):
    raw = writer.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _head(request, answer, trouble):
    framing = []
    if trouble.chunked:
        framing.append("Transfer-Encoding: chunked")
    elif trouble.no_length:
        framing.append("Connection: close")
    elif "Content-Length" not in answer.headers:
        framing.append(f"Content-Length: {len(answer.body)}")
    lines = [f"HTTP/1.1 {answer.status} {PHRASES.get(answer.status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()] + framing
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _send_body(request, writer, answer, trouble, note):
    """True when the connection can be used again."""
    body = memoryview(answer.body)
    rate = trouble.rate
    step = CHUNK if not rate else max(1, min(CHUNK, int(rate / 20)))
    began = time.monotonic()
    offset = 0
    stalls = [trouble.stall_after] if trouble.stall_after is not None else []
    while True:
        if stalls and offset >= stalls[0]:
            stalls.clear()
            await writer.drain()
            await trouble.wait_released(trouble.stall_for)
        if trouble.cut_after is not None and offset >= trouble.cut_after:
            await writer.drain()
            if trouble.cut != "fin":
                _reset(writer)
            return False
        if offset >= len(body):
            break
        stop = min(len(body), offset + step, *(mark for mark in stalls + [trouble.cut_after] if mark is not None))
        piece = bytes(body[offset:stop])
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if trouble.chunked else piece)
        await writer.drain()
        offset = stop
        request.sent = offset
        note()
        if rate:
            ahead = began + offset / rate - time.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
    if trouble.chunked:
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    return not trouble.no_length


async def send(request, writer, answer, trouble, note):
    """Answer one request; `note` is called whenever the record changed. False: close the connection."""
    if trouble.head_delay:
        await asyncio.sleep(trouble.head_delay)
    if trouble.hold:
        await trouble.wait_released()
    if trouble.close:
        _reset(writer)
        return False
    answer = troubled(answer, trouble)
    request.status = answer.status
    note()
    writer.write(_head(request, answer, trouble))
    await writer.drain()
    if request.method == "HEAD":
        return True
    return await _send_body(request, writer, answer, trouble, note)
