# SPDX-License-Identifier: Apache-2.0
"""Raw sockets: bytes out in pieces, answers in, strictly read."""

import json
import re
import select
import socket
import time

READ_SECONDS = 30
STATUS_LINE = re.compile(rb"^HTTP/1\.1 ([1-5][0-9][0-9]) [ -~]*$")
FIELD = re.compile(rb"^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([ -~]*)$")
MARK = b"evil"  # what tables write where an answer's head must not repeat it


class Broken(Exception):
    """The server's answer is not HTTP, or did not come."""


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def code(self):
        try:
            return json.loads(self.body)["errors"][0]["code"]
        except (ValueError, KeyError, IndexError, TypeError):
            return ""

    def __str__(self):
        return f"{self.status} {self.code or self.body[:80]!r}"


def pieces_whole(data):
    return [data]


def pieces_bytes(data):
    """Every byte alone; of long requests the first and the last."""
    if len(data) <= 3000:
        return [data[at:at + 1] for at in range(len(data))]
    edge = 400
    return pieces_bytes(data[:edge]) + [data[edge:-edge]] + pieces_bytes(data[-edge:])


def pieces_lines(data):
    """Cut before, inside and behind every CR LF, in turn; of very many lines the first and the last."""
    cuts = [at for at, byte in enumerate(data) if byte in (13, 10)]
    if len(cuts) > 60:
        cuts = cuts[:30] + cuts[-30:]
    result, start = [], 0
    for cut in cuts:
        for end in (cut, cut + 1):
            if end > start:
                result.append(data[start:end])
                start = end
    return result + ([data[start:]] if start < len(data) else [])


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=READ_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = b""
        self.is_over = False
        self.out = []
        self.gap = 0.0
        self.next_send = 0.0

    def send(self, pieces, gap=0.0):
        self.out += [memoryview(piece) for piece in pieces]
        self.gap = gap

    def half_close(self):
        while self.out and self._turn(time.monotonic() + READ_SECONDS):
            pass
        self.socket.shutdown(socket.SHUT_WR)

    def _send_next(self):
        try:
            sent = self.socket.send(self.out[0][:65536])
        except (BrokenPipeError, ConnectionResetError):
            self.out = []
            return
        if sent == len(self.out[0]):
            self.out.pop(0)
            self.next_send = time.monotonic() + self.gap
        else:
            self.out[0] = self.out[0][sent:]

    def _receive(self):
        try:
            got = self.socket.recv(1 << 18)
        except ConnectionResetError:
            got = b""
        if not got:
            self.is_over = True
        self.input += got

    def _turn(self, deadline):
        """Wait for something and do it. False: nothing more can come."""
        if self.is_over:
            return False
        now = time.monotonic()
        if now >= deadline:
            raise Broken(f"nothing came; so far {self.input[:100]!r}")
        may_send = self.out and now >= self.next_send
        wait = deadline - now if may_send or not self.out else min(deadline, self.next_send) - now
        readable, writable, _ = select.select([self.socket], [self.socket] if may_send else [], [], wait)
        if readable:
            self._receive()
        elif writable:
            self._send_next()
        return True

    def _need(self, condition, what):
        deadline = time.monotonic() + READ_SECONDS
        while not condition():
            if not self._turn(deadline):
                raise Broken(f"the connection ended in {what}; {self.input[:100]!r}")

    def read_answer(self, is_head):
        """The next answer, None when the connection ended before one; 100 Continue is an answer too."""
        deadline = time.monotonic() + READ_SECONDS
        while not self.input and self._turn(deadline):
            pass
        if not self.input:
            return None
        self._need(lambda: b"\r\n\r\n" in self.input, "a head")
        head, _, self.input = self.input.partition(b"\r\n\r\n")
        status, headers = read_head(head)
        if is_head or status in (204, 304) or status < 200:
            return Answer(status, headers, b"")
        return Answer(status, headers, self._read_body(headers))

    def _read_body(self, headers):
        if "transfer-encoding" in headers:
            return self._read_chunked()
        length = int(headers["content-length"])
        self._need(lambda: len(self.input) >= length, "a body")
        body, self.input = self.input[:length], self.input[length:]
        return body

    def _read_chunked(self):
        body = b""
        while True:
            self._need(lambda: b"\r\n" in self.input, "a chunk")
            line, _, self.input = self.input.partition(b"\r\n")
            size = int(line, 16)
            self._need(lambda wanted=size + 2: len(self.input) >= wanted, "a chunk's data")
            body += self.input[:size]
            self.input = self.input[size + 2:]
            if size == 0:
                return body

    def read_end(self):
        """What else comes until the end of the connection."""
        deadline = time.monotonic() + READ_SECONDS
        while self._turn(deadline):
            pass
        return self.input

    def close(self, reset=False):
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


def read_head(head):
    lines = head.split(b"\r\n")
    found = STATUS_LINE.match(lines[0])
    if not found:
        raise Broken(f"no status line: {lines[0][:100]!r}")
    headers = {}
    for line in lines[1:]:
        field = FIELD.match(line)
        if not field:
            raise Broken(f"no header line: {line[:100]!r}")
        name = field.group(1).decode().lower()
        if name in headers and name in ("content-length", "location", "content-type", "transfer-encoding"):
            raise Broken(f"{name} twice")
        headers[name] = field.group(2).decode()
    status = int(found.group(1))
    if MARK in head.lower():
        raise Broken(f"the head repeats what the client wrote: {head!r}")
    if "content-length" in headers and "transfer-encoding" in headers:
        raise Broken("two framings in the answer")
    if status >= 200 and status not in (204, 304) and not {"content-length", "transfer-encoding"} & set(headers):
        raise Broken("no framing in the answer")
    return status, headers
