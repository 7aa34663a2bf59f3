# SPDX-License-Identifier: Apache-2.0
"""Proxies: CONNECT, http:// requests passed on, and SOCKS5 with and without names; with a password if it is wanted.

    proxy = Proxy({"registry.test": hub.ports["registry"]}, login=("me", "secret")).start()
    proxy.url()              "http://me:secret@127.0.0.1:PORT"
    proxy.url("socks5h")     the same port speaks SOCKS5, too
    proxy.asked              what was asked for: "CONNECT registry.test:443", "SOCKS registry.test:443"
    proxy.heads              all bytes that HTTP clients sent to the proxy itself
"""

import base64
import socket
import threading
from urllib.parse import quote, urlsplit


def _read_until(connection, end):
    data = b""
    while end not in data:
        piece = connection.recv(4096)
        if not piece:
            raise ConnectionError("closed")
        data += piece
    return data


def _read_exactly(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionError("closed")
        data += piece
    return data


def _pump(source, target):
    try:
        while True:
            piece = source.recv(65536)
            if not piece:
                break
            target.sendall(piece)
    except OSError:
        pass
    for one in (source, target):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Proxy:
    def __init__(self, names, login=None, answer=None):
        """`names`: the hosts that it knows, and the port of this machine behind each. `answer`: a status for everything."""
        self.names = names
        self.login = login
        self.answer = answer
        self.asked = []
        self.heads = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]

    def start(self):
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def stop(self):
        self._listening.close()

    def url(self, scheme="http", login=None):
        user = login or self.login
        front = f"{quote(user[0], safe='')}:{quote(user[1], safe='')}@" if user else ""
        return f"{scheme}://{front}127.0.0.1:{self.port}"

    def _run(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if connection.recv(1, socket.MSG_PEEK) == b"\x05":
                self._socks(connection)
            else:
                self._http(connection)
        except (OSError, ValueError):
            pass
        finally:
            connection.close()

    def _connect(self, host):
        return socket.create_connection(("127.0.0.1", self.names[host]))

    def _tunnel(self, connection, server):
        back = threading.Thread(target=_pump, args=(server, connection), daemon=True)
        back.start()
        _pump(connection, server)
        back.join()
        server.close()

    # ---- HTTP ----

    def _refuse(self, connection, status):
        more = 'Proxy-Authenticate: Basic realm="corporate"\r\n' if status == 407 else ""
        connection.sendall(f"HTTP/1.1 {status} No\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())

    def _is_login(self, head):
        if not self.login:
            return True
        pair = base64.b64encode(":".join(self.login).encode()).decode()
        return f"\r\nproxy-authorization: basic {pair}\r\n".lower() in head.lower()

    def _http(self, connection):
        head = _read_until(connection, b"\r\n\r\n").decode("latin-1")
        self.heads.append(head)
        method, target, _ = head.split("\r\n")[0].split(" ")
        parts = urlsplit("//" + target if method == "CONNECT" else target)
        self.asked.append(f"{method} {target}")
        if self.answer or not self._is_login(head):
            self._refuse(connection, self.answer or 407)
        elif parts.hostname not in self.names:
            self._refuse(connection, 502)
        else:
            server = self._connect(parts.hostname)
            if method == "CONNECT":
                connection.sendall(b"HTTP/1.1 200 Established\r\n\r\n")
                self._tunnel(connection, server)
            else:
                self._pass_on(connection, server, parts, head)

    @staticmethod
    def _pass_on(connection, server, parts, head):
        """One request and its answer; the next one comes on another connection."""
        lines = [line for line in head.split("\r\n")[:-2] if not line.lower().startswith("proxy-")]
        method = lines[0].split(" ")[0]
        lines[0] = f"{method} {parts.path}{'?' + parts.query if parts.query else ''} HTTP/1.1"
        server.sendall("\r\n".join(lines + ["", ""]).encode())
        answer, _, body = _read_until(server, b"\r\n\r\n").partition(b"\r\n\r\n")
        connection.sendall(answer + b"\r\nConnection: close\r\n\r\n" + body)
        lengths = [int(line[15:]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        if method != "HEAD":
            connection.sendall(_read_exactly(server, lengths[0] - len(body)))
        server.close()

    # ---- SOCKS5 (RFC 1928, 1929) ----

    def _socks(self, connection):
        _, count = _read_exactly(connection, 2)
        offered = _read_exactly(connection, count)
        wanted = 2 if self.login else 0
        if wanted not in offered:
            connection.sendall(b"\x05\xff")
            return
        connection.sendall(bytes((5, wanted)))
        if self.login:
            _read_exactly(connection, 1)
            pair = [_read_exactly(connection, _read_exactly(connection, 1)[0]).decode() for _ in range(2)]
            good = tuple(pair) == tuple(self.login)
            connection.sendall(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                return
        kind = _read_exactly(connection, 4)[3]
        if kind == 3:
            host = _read_exactly(connection, _read_exactly(connection, 1)[0]).decode()
        else:
            host = socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6,
                                    _read_exactly(connection, 4 if kind == 1 else 16))
        port = int.from_bytes(_read_exactly(connection, 2), "big")
        self.asked.append(f"SOCKS {host}:{port}")
        if host not in self.names:
            connection.sendall(b"\x05\x04\x00\x01" + bytes(6))
            return
        server = self._connect(host)
        connection.sendall(b"\x05\x00\x00\x01" + bytes(6))
        self._tunnel(connection, server)
