# SPDX-License-Identifier: Apache-2.0
"""Rows that need more than bytes and an answer: time, numbers, many clients at once."""

import os
import time

from support import client
from support.images import OCI_MANIFEST
from support.server import Server, is_sanitized, processes_of_session, seconds
from support.waiting import wait_until

from . import content, deliver

END = b"\r\nHost: registry.test\r\n\r\n"
RESETS = 300
DESCRIPTORS_SLACK = 8
GROWTH_KIB = 32 * 1024  # of one process
PEAK_KIB = 200 * 1024    # of a worker under bombs


class Usage:
    """Descriptors and memory of the server's processes."""

    def __init__(self, server):
        self.server = server
        self.now = {child.pid: (child.role, *_usage(child.pid)) for child in _children(server)}


def _children(server):
    return processes_of_session(server.process.pid)


def _usage(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as source:
        resident = next(int(line.split()[1]) for line in source if line.startswith("VmRSS:"))
    return len(os.listdir(f"/proc/{pid}/fd")), resident


def check_usage(bench, before):
    """Every process is still the one that was started, with the descriptors it had, and not much larger."""
    def closed():
        now = Usage(bench.server).now
        return all(pid in now and now[pid][1] <= was[1] + DESCRIPTORS_SLACK for pid, was in before.now.items())
    try:
        wait_until(closed, 20, "processes and descriptors as before")
    except AssertionError as error:
        bench.fail("after", "usage", f"{error}: {before.now} {Usage(bench.server).now}")
        return
    for pid, (role, _, resident) in Usage(bench.server).now.items():
        if not is_sanitized() and resident > before.now[pid][2] + GROWTH_KIB:
            bench.fail("after", "usage", f"{role} grew from {before.now[pid][2]} to {resident} KiB")


def _peak_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as source:
        return next(int(line.split()[1]) for line in source if line.startswith("VmHWM:"))


def check_numbers(bench):
    """No role's loop was kept busy: 99.9 % of the turns are under 50 ms, none is over 250 ms; and no worker was ever
    large. Sanitizers make everything several times slower and larger: then the numbers are told alone."""
    for role in ("worker", "keeper", "fetcher"):
        numbers = {name.removeprefix("entrepot_"): int(value) for name, value in bench.server.metrics(role).items()}
        turns, late, blocked = (numbers[f"loop_{name}_total"] for name in ("turns", "over_50ms", "over_250ms"))
        peaks = [_peak_kib(child.pid) for child in _children(bench.server) if child.role == role]
        print(f"{role}: {turns} turns, {late} over 50 ms, {blocked} over 250 ms, the longest "
              f"{numbers['loop_longest_us'] / 1000:.0f} ms; peak memory {max(peaks) / 1024:.0f} MiB")
        if is_sanitized():
            continue
        if blocked or late * 1000 > turns:
            bench.fail("after", "loop", f"{role}: {late} of {turns} turns over 50 ms, {blocked} over 250 ms")
        if max(peaks) > PEAK_KIB:
            bench.fail("after", "memory", f"a {role} had {max(peaks)} KiB")


def expect(connection, status, is_closed=False, is_head=False):
    answer = connection.read_answer(is_head)
    assert answer is not None and answer.status == status, f"expected {status}, got {answer}"
    if is_closed:
        assert connection.read_end() == b"", "something behind the answer"
    return answer


class Opened:
    """A connection for a `with`."""

    def __init__(self, port):
        self.port = port

    def __enter__(self):
        self.connection = deliver.Connection(self.port)
        return self.connection

    def __exit__(self, *_):
        self.connection.close()


# ---- one server for all ----

def b21_hello_is_answered_at_once(bench):
    with Opened(bench.server.port) as connection:
        began = time.monotonic()
        connection.send([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
        expect(connection, 400, is_closed=True)
        assert time.monotonic() - began < seconds(0.05) + 0.2, "slow"


def b28_line_without_end(bench):
    with Opened(bench.server.port) as connection:
        connection.send([b"GET /" + b"A" * 65536] + [b"A" * 65536] * 1024)
        answer = connection.read_answer(False)
        assert answer is not None and answer.status in (414, 400), str(answer)
        connection.read_end()


def b49_continue_then_created(bench):
    session = content.begin_upload(bench.server.port, "special/b49")["session"]
    with Opened(bench.server.port) as connection:
        digest = bench.shared["hello"]
        connection.send([f"PUT {session}?digest={digest} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                         "Expect: 100-continue\r\n\r\n".encode()])
        expect(connection, 100)
        connection.send([b"hello"])
        expect(connection, 201)


def b87_hundred_in_a_row(bench):
    with Opened(bench.server.port) as connection:
        connection.send([b"".join(f"GET /v2/nobody/{number}/tags/list HTTP/1.1".encode() + END if number % 3 else
                                  b"GET /v2/ HTTP/1.1" + END for number in range(100))])
        for number in range(100):
            expect(connection, 404 if number % 3 else 200)


def b92_resets_in_bodies(bench):
    session = content.begin_upload(bench.server.port, "special/b92")["session"]
    for number in range(RESETS):
        connection = deliver.Connection(bench.server.port)
        connection.send([f"PATCH {session} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n".encode() +
                         b"x" * (number % 7)])
        while connection.out:
            connection._send_next()
        connection.close(reset=True)
    wait_until(lambda: client.request(bench.server.port, "GET", session).status == 204, 20, "the session free again")


def b149_one_upload_too_many(bench):
    for _ in range(100):  # with a byte each: a session without one makes room for others
        session = content.begin_upload(bench.server.port, "special/b149")["session"]
        client.request(bench.server.port, "PATCH", session, body=b"x")
    answer = client.request(bench.server.port, "POST", "/v2/special/b149/blobs/uploads/",
                            headers={"Content-Length": "0"})
    assert answer.status == 429 and answer.code == "TOOMANYREQUESTS", str(answer)
    assert "retry-after" in answer.headers, "no Retry-After"


def _put_manifest(bench, name, tag, body):
    return client.request(bench.server.port, "PUT", f"/v2/{name}/manifests/{tag}",
                          headers={"Content-Type": OCI_MANIFEST}, body=body)


def b175_bombs_at_once(bench):
    bodies = (b"[" + b"{}," * 1398100 + b"{}]", b"[" + b"{}," * 149998 + b"{}]")
    many = client.Many()
    for number in range(bench.bombs):
        many.start(_put_manifest, bench, "seed/app", "bomb", bodies[number % 2])
    for answer in many.join():
        assert answer.status in (400, 503), str(answer)


def b199_same_manifest_at_once(bench):
    many = client.Many()
    for _ in range(50):
        many.start(_put_manifest, bench, content.REPOSITORY, "same", bench.shared["image"].encode())
    for answer in many.join():
        assert answer.status == 201, str(answer)


def b215_pages_while_tags_change(bench):
    image = bench.shared["image"].encode()
    api = client.Client(bench.server.port)
    api.push_blob_at_once("special/b215", content.BLOB)
    steady = [f"steady-{number:03}" for number in range(60)]
    for tag in steady:
        client.check_status(_put_manifest(bench, "special/b215", tag, image), 201)
    for size in (1, 7, 25):
        seen, path = [], f"/v2/special/b215/tags/list?n={size}"
        while path:
            answer = api.request("GET", path)
            seen += answer.json()["tags"]
            path = answer.headers.get("link", "<>").partition("<")[2].partition(">")[0]
            _put_manifest(bench, "special/b215", f"steady-{len(seen) % 60:03}-x", image)
            api.delete_manifest("special/b215", f"steady-{(len(seen) * 7) % 60:03}-x")
        assert [tag for tag in seen if tag in steady] == steady, f"n={size}: {seen}"


# ---- a server with short times, where nothing may be deleted ----

def b44_dribbled_head(bench, server):
    with Opened(server.port) as connection:
        connection.send([bytes([byte]) for byte in b"GET /v2/ HTTP/1.1\r\nX: " + b"y" * 100], gap=0.05)
        expect(connection, 408, is_closed=True)


def b45_no_body(bench, server):
    with Opened(server.port) as connection:
        connection.send([b"PUT /v2/special/b45/manifests/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{"])
        expect(connection, 408, is_closed=True)


def b45_no_body_of_an_upload(bench, server):
    session = content.begin_upload(server.port, "special/b45")["session"]
    with Opened(server.port) as connection:
        connection.send([f"PATCH {session} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc".encode()])
        expect(connection, 408, is_closed=True)


def b201_nothing_may_be_deleted(bench, server):
    shared = content.publish(server.port)
    for path in ("manifests/v1", f"manifests/{shared['manifest']}", f"blobs/{shared['blob']}"):
        answer = client.request(server.port, "DELETE", f"/v2/{content.REPOSITORY}/{path}")
        assert answer.status == 405 and answer.code == "UNSUPPORTED", f"{path}: {answer}"
        assert "DELETE" not in answer.headers["allow"], answer.headers["allow"]


ONE = (b21_hello_is_answered_at_once, b28_line_without_end, b49_continue_then_created, b87_hundred_in_a_row,
       b92_resets_in_bodies, b149_one_upload_too_many, b175_bombs_at_once, b199_same_manifest_at_once,
       b215_pages_while_tags_change)
SHORT = (b44_dribbled_head, b45_no_body, b45_no_body_of_an_upload, b201_nothing_may_be_deleted)
SHORT_SETTINGS = {"limits": {"head_timeout": "1s", "body_timeout": "1s"}, "hosted": {"delete": False}}


def _run(bench, call, *arguments):
    key = call.__name__.partition("_")[0].upper()
    bench.deliveries += 1
    try:
        call(bench, *arguments)
    except (OSError, deliver.Broken, AssertionError, KeyError, ValueError) as error:
        bench.fail(f"{key}.s", "special", f"{call.__name__}: {type(error).__name__}: {error}")


def run_all(bench, only):
    def is_wanted(call):
        return not only or call.__name__.partition("_")[0].upper() in only
    one = [call for call in ONE if is_wanted(call)]
    short = [call for call in SHORT if is_wanted(call)]
    for call in one:
        _run(bench, call)
    if short:
        server = Server({}, SHORT_SETTINGS, workers=1).start()
        try:
            for call in short:
                _run(bench, call, server)
        finally:
            server.close(False)
    return len(one) + len(short)
