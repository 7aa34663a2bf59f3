# SPDX-License-Identifier: Apache-2.0
"""A registry client that looks closely: every byte hashed, every length checked, slow and many when asked."""

import hashlib
import http.client
import json
import re
import select
import socket
import threading
import time
from dataclasses import dataclass, field

from .images import ALL_MANIFESTS, sha256

TIMEOUT = 60


@dataclass
class Answer:
    status: int = 0          # 0: no head came
    headers: dict = field(default_factory=dict)
    body: bytes = b""        # empty when only its digest was kept
    length: int = 0          # bytes that came
    digest: str = ""         # of them
    is_complete: bool = False  # all that the head promised came
    error: str = ""
    began: float = 0.0
    first_byte: float = 0.0
    ended: float = 0.0

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The first error code of the body."""
        try:
            return self.json()["errors"][0]["code"]
        except (ValueError, KeyError, IndexError, TypeError):
            return ""

    def __str__(self):
        return f"{self.status} {self.headers} {self.length} bytes {self.digest} {self.error} {self.body[:300]!r}"


def _connect_socket(port, timeout, receive_buffer=None, segment=None):
    raw = socket.socket()
    if receive_buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if segment:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
    raw.settimeout(timeout)
    raw.connect(("127.0.0.1", port))
    return raw


def _connect(port, timeout, receive_buffer):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    if receive_buffer:
        connection.sock = _connect_socket(port, timeout, receive_buffer)
    return connection


def _read_body(response, answer, keep, rate, progress, stop_after):
    hasher = hashlib.sha256()
    pieces = []
    step = 64 * 1024 if not rate else max(1, min(64 * 1024, int(rate / 10)))
    began = time.monotonic()
    while True:
        piece = response.read(step) if rate or stop_after else response.read1(256 * 1024)
        if not piece:
            break
        if not answer.length:
            answer.first_byte = time.monotonic()
        answer.length += len(piece)
        hasher.update(piece)
        if keep:
            pieces.append(piece)
        if progress:
            progress(answer.length)
        if stop_after is not None and answer.length >= stop_after:
            answer.error = "left"
            break
        if rate:
            ahead = began + answer.length / rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
    answer.body = b"".join(pieces)
    answer.digest = "sha256:" + hasher.hexdigest()


def request(port, method, path, headers=None, body=None, keep=True, rate=None, timeout=TIMEOUT, progress=None,
            stop_after=None, receive_buffer=None, connection=None, chunked=False):
    """One request. Never raises for what the server does: the Answer tells. `rate`: bytes a second that this client
    reads; `stop_after`: it leaves after so many."""
    answer = Answer(began=time.monotonic())
    own = connection is None
    try:
        if own:
            connection = _connect(port, timeout, receive_buffer)
        try:
            connection.request(method, path, body, headers or {}, encode_chunked=chunked)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all of it was sent: the answer is there already
        response = connection.getresponse()
        answer.status = response.status
        answer.headers = {name.lower(): value for name, value in response.getheaders()}
        expected = response.length
        is_chunked = response.chunked
        _read_body(response, answer, keep, rate, progress, stop_after)
        whole = method == "HEAD" or expected is None or answer.length == expected
        answer.is_complete = whole and not answer.error and (is_chunked or expected is not None or method == "HEAD")
    except http.client.IncompleteRead as error:
        answer.error = f"cut: {error}"
    except (OSError, http.client.HTTPException) as error:
        answer.error = f"{type(error).__name__}: {error}"
    finally:
        answer.ended = time.monotonic()
        if own and connection is not None:
            connection.close()
    return answer


class Client:
    """The API of one server. Names are as a client writes them; `ns` is containerd's."""

    def __init__(self, port, ns=None, prefix=""):
        self.port = port
        self.ns = ns
        self.prefix = prefix

    def _path(self, name, tail):
        query = f"{'&' if '?' in tail else '?'}ns={self.ns}" if self.ns else ""
        return f"/v2/{self.prefix}{name}/{tail}{query}"

    def request(self, method, path, **options):
        return request(self.port, method, path, **options)

    # ---- pull ----

    def manifest(self, name, reference, method="GET", headers=None, **options):
        headers = dict({"Accept": ALL_MANIFESTS}, **(headers or {}))
        return self.request(method, self._path(name, f"manifests/{reference}"), headers=headers, **options)

    def blob(self, name, digest, method="GET", **options):
        return self.request(method, self._path(name, f"blobs/{digest}"), **options)

    def slow_blob(self, name, digest, rate, **options):
        """A client that reads so many bytes a second, through a small window."""
        return self.blob(name, digest, rate=rate, keep=False, receive_buffer=16 * 1024, **options)

    def tags(self, name, query=""):
        return self.request("GET", self._path(name, f"tags/list{query}"))

    def catalog(self, query=""):
        return self.request("GET", f"/v2/_catalog{query}")

    def pages(self, path):
        """The answers along the Link headers; AssertionError when they lead nowhere."""
        found = []
        while path:
            answer = check_status(self.request("GET", path), 200)
            found.append(answer)
            link = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers.get("link", ""))
            if "link" in answer.headers and (link is None or len(found) > 100):
                raise AssertionError(f"a link that leads nowhere: {answer}")
            path = link.group(1) if link else None
        return found

    def pull(self, name, reference):
        """A whole image of one platform, as an engine does; returns {digest: Answer}. AssertionError if wrong."""
        top = self.manifest(name, reference)
        check_ok(top)
        document = top.json()
        got = {top.digest: top}
        if "manifests" in document:
            top = self.manifest(name, document["manifests"][0]["digest"])
            check_ok(top, document["manifests"][0]["digest"])
            document = top.json()
            got[top.digest] = top
        for entry in [document["config"]] + document["layers"]:
            blob = self.blob(name, entry["digest"], keep=False)
            check_ok(blob, entry["digest"])
            got[entry["digest"]] = blob
        return got

    # ---- push ----

    def begin_upload(self, name, query=""):
        """The session's path; AssertionError if it was refused."""
        answer = self.request("POST", f"/v2/{name}/blobs/uploads/{query}", headers={"Content-Length": "0"})
        check_status(answer, 202)
        return path_of(answer.headers["location"])

    def patch(self, location, content, offset=None, **options):
        headers = {"Content-Type": "application/octet-stream"}
        if offset is not None:
            headers["Content-Range"] = f"{offset}-{offset + len(content) - 1}"
        return self.request("PATCH", location, headers=headers, body=content, **options)

    def finish_upload(self, location, digest, content=b"", **options):
        mark = "&" if "?" in location else "?"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(content))}
        return self.request("PUT", f"{location}{mark}digest={digest}", headers=headers, body=content, **options)

    def push_blob(self, name, content):
        """POST, PATCH, PUT, each by a connection of its own; returns the digest."""
        digest = sha256(content)
        location = self.begin_upload(name)
        answer = self.patch(location, content)
        check_status(answer, 202)
        check_status(self.finish_upload(path_of(answer.headers["location"]), digest), 201)
        return digest

    def push_blob_at_once(self, name, content):
        digest = sha256(content)
        check_status(self.finish_upload(self.begin_upload(name), digest, content), 201)
        return digest

    def push_manifest(self, name, reference, manifest):
        return self.request("PUT", f"/v2/{name}/manifests/{reference}", headers={"Content-Type": manifest.media_type},
                            body=manifest.content)

    def push(self, name, tag, image):
        """A whole images.Image; returns its digest."""
        for content in image.blobs.values():
            self.push_blob(name, content)
        for manifest in image.manifests:
            reference = tag if manifest is image.top else manifest.digest
            check_status(self.push_manifest(name, reference, manifest), 201)
        return image.digest

    def delete_manifest(self, name, reference):
        return self.request("DELETE", f"/v2/{name}/manifests/{reference}")

    def delete_blob(self, name, digest):
        return self.request("DELETE", f"/v2/{name}/blobs/{digest}")


def path_of(location):
    return re.sub(r"^https?://[^/]+", "", location)


def check_status(answer, *statuses):
    if answer.status not in statuses:
        raise AssertionError(f"expected {statuses}, got {answer}")
    return answer


def check_ok(answer, digest=None):
    """200, whole, and the bytes of `digest`."""
    check_status(answer, 200)
    if not answer.is_complete:
        raise AssertionError(f"not whole: {answer}")
    if digest is not None and answer.digest != digest:
        raise AssertionError(f"wrong bytes, wanted {digest}: {answer}")
    return answer


class Many:
    """Calls that run at the same time; results in order."""

    def __init__(self):
        self._threads = []
        self.results = []

    def start(self, call, *arguments, **options):
        index = len(self.results)
        self.results.append(None)

        def run():
            try:
                self.results[index] = call(*arguments, **options)
            except BaseException as error:  # told by join()
                self.results[index] = error
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()
        return index

    def join(self, seconds=120):
        """The results; raises what one of the calls raised."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                raise AssertionError(f"a client still waits after {seconds} s")
        for result in self.results:
            if isinstance(result, BaseException):
                raise result
        return self.results


class Raw:
    """A socket, for what no library would send."""

    def __init__(self, port, timeout=TIMEOUT, is_narrow=False):
        """is_narrow: both kernels hold little of an answer. By its segments of 64 KiB, a client on this machine gives the
        server's socket room for 4 MiB."""
        room = {"receive_buffer": 16 * 1024, "segment": 1000} if is_narrow else {}
        self.socket = _connect_socket(port, timeout, **room)
        self._rest = b""

    def send(self, content):
        self.socket.sendall(content)
        return self

    def read_head(self):
        """(status, headers) of the next answer; (0, {}) when the connection ended."""
        while b"\r\n\r\n" not in self._rest:
            piece = self._receive()
            if not piece:
                return 0, {}
            self._rest += piece
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(lines[0].split(" ")[1]), headers

    def read(self, count):
        while len(self._rest) < count:
            piece = self._receive()
            if not piece:
                break
            self._rest += piece
        result, self._rest = self._rest[:count], self._rest[count:]
        return result

    def read_answer(self):
        """(status, headers, body) of an answer with a length."""
        status, headers = self.read_head()
        return status, headers, self.read(int(headers.get("content-length", "0")))

    def read_all(self):
        while True:
            piece = self._receive()
            if not piece:
                break
            self._rest += piece
        result, self._rest = self._rest, b""
        return result

    def is_silent(self):
        """Nothing has come that was not read."""
        return not self._rest and not select.select([self.socket], [], [], 0)[0]

    def _receive(self):
        try:
            return self.socket.recv(256 * 1024)
        except ConnectionError:
            return b""

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
