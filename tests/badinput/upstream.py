# SPDX-License-Identifier: Apache-2.0
"""What an upstream may answer (rows/upstream.tsv): raw bytes, one upstream for each row.

After each row the upstream is well again and the same is asked once more: what was bad must not have been kept, and
nothing that came behind it may be taken for the next answer.
"""

import concurrent.futures
import os
import re
import socket
import threading
import time

from support import client
from support.images import OCI_MANIFEST, sha256
from support.server import Server

from . import content, template

ENDLESS_MAX = 256 * 1024 * 1024
SETTINGS = {"fetch": {"retries": 0, "head_timeout": "2s", "stall_timeout": "2s", "deadline": "6s",
                      "negative_ttl": "0s", "tag_check_wait": "6s"}}
PASSWORD = "evilpassword"
THREADS = 8


class Raw:
    """An origin that answers by the first component of the repository's name, which is the row's."""

    def __init__(self, address="127.0.0.1"):
        self.rows = {}         # key -> row
        self.healed = set()
        self.asked = []        # (path, authorization)
        self.variables = {}
        self._listener = socket.create_server((address, 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        rest = b""
        with connection:
            try:
                while True:
                    while b"\r\n\r\n" not in rest:
                        got = connection.recv(65536)
                        if not got:
                            return
                        rest += got
                    head, _, rest = rest.partition(b"\r\n\r\n")
                    if not self._answer(connection, head.decode("latin-1")):
                        return
            except OSError:
                return

    def _answer(self, connection, head):
        """False: close the connection."""
        method, path, _ = head.split("\r\n")[0].split(" ", 2)
        found = re.search(r"(?im)^authorization: *(.*?)\r?$", head)
        authorization = found.group(1) if found else ""
        self.asked.append((path, authorization))
        parts = path.partition("?")[0].split("/")
        row = self.rows.get(parts[2] if len(parts) > 2 else "") or self.rows.get(parts[-1])
        if row is None:
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return True
        raw = self._raw_of(row, path, authorization)
        if raw is None or row.key in self.healed:
            connection.sendall(_good(row, path, method == "HEAD"))
            return True
        _send_raw(connection, raw, row.flags)
        return False

    def _raw_of(self, row, path, authorization):
        """None: the good answer."""
        values = dict(self.variables, **row.own, realm=f"http://127.0.0.1:{self.port}/token/{row.key}",
                      self=f"http://127.0.0.1:{self.port}{path}")
        text = row.steps[0].request
        if row.asks == "challenge":
            if path.startswith("/token/"):
                return _with_length(b'{"token":"good"}')
            refusal = template.expand("HTTP/1.1 401 X\\r\\n" + text + "Content-Length: 0\\r\\n\\r\\n", values)
            return None if authorization == "Bearer good" else refusal
        if row.asks == "token":
            if path.startswith("/token/"):
                return _with_length(template.expand(text, values))
            challenge = f'HTTP/1.1 401 X\\r\\nWWW-Authenticate: Bearer realm="{values["realm"]}",service="x"\\r\\n'
            refusal = template.expand(challenge + "Content-Length: 0\\r\\n\\r\\n", values)
            return None if authorization == "Bearer good" else refusal
        return template.expand(text, values)


def _good(row, path, is_head):
    if path.startswith("/token/"):
        return _with_length(b'{"token":"good"}')
    kind, body = "application/octet-stream", row.own["content"].encode()
    if "/manifests/" in path:
        kind, body = OCI_MANIFEST, row.own["body"].encode()
    elif "/tags/list" in path:
        kind, body = "application/json", b'{"name":"x","tags":["good"]}'
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + \
        (b"" if is_head else body)


def _own(key, values):
    """Content of this row alone: what is public is served to all who ask for its digest."""
    blob = f"{key:>11}"[:11]
    body = values["image"][:-1] + f',"annotations":{{"row":"{key}"}}}}'
    return {"content": blob, "body": body, "blob": sha256(blob.encode()), "manifest": sha256(body.encode())}


def _with_length(body):
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _send_raw(connection, raw, flags):
    if "slow" in flags:
        for byte in raw:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)
        return
    sent = 0
    while True:
        connection.sendall(raw)
        sent += len(raw)
        if "endless" not in flags or sent > ENDLESS_MAX or not raw:
            break
        head, found, body = raw.partition(b"\r\n\r\n")
        raw = body if found and body else raw.partition(b"\r\n")[2]
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(5)
    while connection.recv(65536):  # no reset may overtake the answer
        pass


def _read_rows(only):
    rows, seen = [], {}
    for number, columns in template.read_table("upstream"):
        try:
            key, description, asks, answer, expect = columns
        except ValueError as error:
            raise ValueError(f"upstream.tsv:{number}: {error}") from None
        row = template.make_row(key, "upstream", description, seen)
        row.asks = asks
        row.key = row.key.lower().replace(".", "-")
        row.steps.append(template.Step(answer, expect))
        if not only or key in only:
            rows.append(row)
    return rows


def _variables(sink):
    values = content.variables()
    values["h"] = values["head"]
    values["head"] = f"Content-Type: {OCI_MANIFEST}\r\n"
    values["sink"], values["sinkhost"] = f"http://127.0.0.2:{sink.port}", f"127.0.0.2:{sink.port}"
    return values


def _ask(server, row, values):
    api = client.Client(server.port, ns=f"{row.key}.test")
    name = f"{row.key}/x"
    if row.asks == "blob":
        return api.blob(name, values["blob"])
    if row.asks == "tags":
        return api.tags(name)
    return api.manifest(name, values["manifest"] if row.asks == "digest" else "v1")


def _complaint(row, values, expected, answer):
    for word, text in expected.headers.items():
        expected.headers[word] = [template.expand(value, values).decode() for value in text]
    complaint = expected.complaint(answer)
    if complaint is None and answer.status == 200:
        right = {"blob": values["blob"], "tags": answer.digest}.get(row.asks, values["manifest"])
        if answer.digest != right or not answer.is_complete:
            complaint = f"200 with wrong bytes: {answer}"
        if row.asks == "tags" and b"evil" in answer.body:
            complaint = f"what is no tag was passed on: {answer.body!r}"
    if complaint is None and any("evil" in f"{name}{value}".lower() for name, value in answer.headers.items()):
        complaint = f"the upstream's words in our head: {answer.headers}"
    return complaint


def _run_row(bench, server, raw, row):
    values = dict(raw.variables, **row.own)
    began = time.monotonic()
    answer = _ask(server, row, values)
    seconds = time.monotonic() - began
    complaint = _complaint(row, values, row.steps[0].expect[0], answer)
    if complaint is None and seconds > 12:
        complaint = f"took {seconds:.0f} s"
    if complaint is None and "paused" not in row.flags and "login" not in row.flags:
        raw.healed.add(row.key)
        again = _ask(server, row, values)
        if again.status != 200 or (row.asks == "tags" and again.json()["tags"] != ["good"]):
            complaint = f"after it: {again}"
        elif row.asks != "tags":
            complaint = _complaint(row, values, template.Expected("200"), again)
    if complaint:
        bench.fail(row.key.upper().replace("-", "."), "upstream", f"{row.description}: {complaint}")


def _upstreams(rows, raw, folder):
    secret = os.path.join(folder, "password")
    with open(secret, "w", encoding="ascii") as out:
        out.write(PASSWORD)
    os.chmod(secret, 0o600)
    result = {}
    for row in rows:
        entry = {"url": f"http://127.0.0.1:{raw.port}", "tags": [{"match": "*", "ttl": "0s", "stale_if_error": "0s"}]}
        if "login" in row.flags:
            entry.update(username="evil", password_file=secret)
        result[f"{row.key}.test"] = entry
    return result


def run_all(bench, only):
    rows = _read_rows(only)
    if not rows:
        return 0
    raw, sink = Raw(), Raw("127.0.0.2")
    raw.rows = {row.key: row for row in rows}
    raw.variables = _variables(sink)
    for row in rows:
        row.own = _own(row.key, raw.variables)
    server = Server({}, SETTINGS, workers=1)
    server.settings["upstreams"] = _upstreams(rows, raw, server.folder.path)
    server.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for job in [pool.submit(_run_row, bench, server, raw, row) for row in rows]:
                bench.deliveries += 1
                job.result()
        leaked = [path for path, authorization in sink.asked if authorization]
        if leaked:
            bench.fail("B273.s", "upstream", f"credentials went to {leaked[0]}")
    finally:
        server.close(False)
        raw.close()
        sink.close()
    return len(rows)
