# SPDX-License-Identifier: Apache-2.0
"""Every limit of the settings table: what is just within it is served, what exceeds it is refused, and says so."""

import os
import re
import signal
import time
import unittest

from support import images
from support.case import Scenario
from support.client import Raw, check_ok, check_status, path_of
from support.processes import run
from support.server import binary, seconds
from support.waiting import wait_until

KIB = 1024
MIB = 1024 * KIB
CHUNKED = {"Transfer-Encoding": "chunked"}
LIMITS = {
    "request_line": "1KiB", "request_head": "2KiB", "header_value": "512", "range_value": "512", "header_fields": 10,
    "query_parameters": 10, "ranges": 2, "page": 3, "manifest_size": "64KiB", "manifest_entries": 10,
    "tags_per_push": 2, "uploads": 3, "uploads_per_repository": 2, "upload_idle": "1s",
}


class LimitScenario(Scenario):
    settings = {}
    workers = 1

    def setUp(self):
        self.registry = self.server(settings=self.settings, workers=self.workers)
        self.api = self.client(self.registry)

    def raw(self):
        raw = Raw(self.registry.port)
        self.addCleanup(raw.close)
        return raw

    def status_of(self, head):
        return self.raw().send(head).read_answer()[0]

    def assert_within(self, make, limit, status, excess):
        """make(limit) is answered with 200, make(limit + 1) with `excess`."""
        self.assertEqual(make(limit), status)
        self.assertEqual(make(limit + 1), excess)


class SizeTest(LimitScenario):
    settings = {"limits": LIMITS, "storage": {"blob_max": "1MiB"}}

    def test_request_line(self):
        def ask(length):
            line = b"GET /v2/?x=%s HTTP/1.1"
            line = line.replace(b"%s", b"x" * (length - len(line) + 2))
            return self.status_of(line + b"\r\nHost: x\r\n\r\n")
        self.assert_within(ask, 1024, 200, 414)

    def test_request_head(self):
        def ask(length):
            head = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n"
            head += b"".join(b"X-%d: %s\r\n" % (number, b"x" * 400) for number in range(4))
            return self.status_of(head + b"Y: " + b"y" * (length - len(head) - 7) + b"\r\n\r\n")
        self.assert_within(ask, 2048, 200, 431)

    def test_header_value(self):
        self.assert_within(lambda length: self.status_of(
            b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: " + b"x" * length + b"\r\n\r\n"), 512, 200, 431)

    def test_header_fields(self):
        self.assert_within(lambda count: self.status_of(
            b"GET /v2/ HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * (count - 1) + b"\r\n"), 10, 200, 431)

    def test_query_parameters(self):
        self.assert_within(lambda count: self.api.request("GET", "/v2/_catalog?" + "&".join("x" * count)).status,
                           10, 200, 400)

    def test_range_value(self):
        self.assert_within(lambda length: self.status_of(
            b"GET /v2/ HTTP/1.1\r\nHost: x\r\nRange: " + b"x" * length + b"\r\n\r\n"), 512, 200, 400)

    def test_range_value_does_not_count_as_the_heads(self):
        def ask(length):
            head = b"GET /v2/ HTTP/1.1\r\nHost: x\r\nRange: " + b"x" * 512 + b"\r\n"
            head += b"".join(b"X-%d: %s\r\n" % (number, b"x" * 400) for number in range(4))
            return self.status_of(head + b"Y: " + b"y" * (length + 512 - len(head) - 7) + b"\r\n\r\n")
        self.assert_within(ask, 2048, 200, 431)

    def test_ranges(self):
        digest = self.api.push_blob("team/app", b"0123456789")

        def ask(count):
            answer = self.api.blob("team/app", digest, headers={
                "Range": "bytes=" + ",".join(f"{2 * number}-{2 * number}" for number in range(count))})
            self.assertIn(answer.code, ("", "RANGE_INVALID"))
            return answer.status
        self.assert_within(ask, 2, 206, 400)

    def test_page(self):
        image = images.make_image([b"layer"])
        for number in range(4):
            self.api.push(f"team/app{number}", "1", image)
            self.api.push("team/app0", f"t{number}", image)
        answer = self.api.tags("team/app0", "?n=100")
        self.assertEqual(answer.json()["tags"], ["1", "t0", "t1"])
        self.assertIn("n=3&last=t1", answer.headers["link"])
        self.assertEqual(len(self.api.catalog("?n=100").json()["repositories"]), 3)
        self.assertEqual(len(self.api.tags("team/app0").json()["tags"]), 5)

    def push_manifest(self, document, reference="1", size=None, headers=None, **options):
        content = images.to_json(document)
        if size:
            content = content[:-1] + b" " * (size - len(content)) + b"}"
        return self.api.request("PUT", f"/v2/team/app/manifests/{reference}", body=content,
                                headers=dict({"Content-Type": document["mediaType"]}, **(headers or {})),
                                **options).status

    def image(self, layers=1):
        """A manifest with so many (equal) layers, and its bytes."""
        made = images.make_manifest([b"layer"] * layers, oci=True)
        for content in made.blobs.values():
            self.api.push_blob("team/app", content)
        return made.top.document

    def test_manifest_size(self):
        document = self.image()
        self.assert_within(lambda size: self.push_manifest(document, size=size), 64 * KIB, 201, 413)
        self.assertEqual(self.push_manifest(document, size=64 * KIB + 1, chunked=True, headers=CHUNKED), 413)

    def test_manifest_entries(self):
        self.assert_within(lambda count: self.push_manifest(self.image(count)), 10, 201, 400)
        entry = self.image()["config"]
        self.assert_within(lambda count: self.push_manifest({
            "schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": [entry] * count}), 10, 201, 400)

    def test_tags_per_push(self):
        document = self.image()
        digest = images.sha256(images.to_json(document))
        self.assert_within(lambda count: self.push_manifest(document, digest + "?" + "&".join(
            f"tag=t{number}" for number in range(count))), 2, 201, 414)
        self.assertEqual(self.api.tags("team/app").json()["tags"], ["t0", "t1"])

    def begin(self, name):
        """A session with a byte: one without makes room for others at once."""
        answer = self.api.request("POST", f"/v2/{name}/blobs/uploads/", headers={"Content-Length": "0"})
        if answer.status == 429:
            self.assertEqual(answer.code, "TOOMANYREQUESTS")
            self.assertIn("retry-after", answer.headers)
        else:
            check_status(self.api.request("PATCH", path_of(answer.headers["location"]), body=b"x"), 202)
        return answer.status

    def test_uploads(self):
        self.assertEqual([self.begin(f"team/app{number}") for number in range(4)], [202, 202, 202, 429])

    def test_uploads_are_counted_after_a_restart(self):
        location = self.api.begin_upload("team/app0")
        self.api.request("PATCH", location, body=b"hello")
        self.assertEqual(self.begin("team/app1"), 202)
        self.registry.stop()
        self.registry.start()
        self.api = self.client(self.registry)
        self.assertEqual([self.begin(f"team/app{number}") for number in (2, 3)], [202, 429])
        self.assertEqual(self.api.finish_upload(location, images.sha256(b"hello")).status, 201)

    def test_uploads_per_repository(self):
        self.assertEqual([self.begin("team/app") for _ in range(3)], [202, 202, 429])
        self.assertEqual(self.begin("team/other"), 202)

    def test_uploads_without_a_byte_make_room(self):
        locations = []
        for _ in range(5):
            locations.append(self.api.begin_upload("team/app"))
            began = time.time()  # which is older is known to the millisecond
            wait_until(lambda began=began: time.time() > began + 0.001, 1, "another millisecond", every=0.001)
        self.assertEqual([self.api.request("GET", location).status for location in locations],
                         [404, 404, 404, 204, 204])

    def test_upload_idle(self):
        location = self.api.begin_upload("team/app")
        check_status(self.api.request("PATCH", location, body=b"x"), 202)
        self.assertEqual([self.begin("team/app"), self.begin("team/app")], [202, 429])
        wait_until(lambda: self.begin("team/app") == 202, 10, "the upload that was left has gone")
        self.assertEqual(self.api.request("GET", location).status, 404)

    def test_blob_max(self):
        def push(length, **options):
            location = self.api.begin_upload("team/app")
            answer = self.api.request("PATCH", location, body=bytes(length), **options)
            self.api.request("DELETE", location)
            return answer.status
        self.assert_within(push, MIB, 202, 413)
        self.assert_within(lambda length: push(length, chunked=True, headers=CHUNKED),
                           MIB, 202, 413)


class ConnectionTest(LimitScenario):
    workers = 2
    settings = {"limits": {"connections": 8}}

    def test_connections(self):
        opened = [self.raw() for _ in range(8)]
        for raw in opened:
            self.assertEqual(raw.send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").read_answer()[0], 200)
        status, headers, _ = self.raw().read_answer()
        self.assertEqual((status, headers["connection"]), (503, "close"))
        self.assertIn("retry-after", headers)
        opened[0].close()
        wait_until(lambda: self.api.request("GET", "/v2/").status == 200, 10, "room again")


class ExpiryTest(LimitScenario):
    settings = {"limits": {"upload_expiry": "1s"}}

    def test_upload_expiry(self):
        location = self.api.begin_upload("team/app")
        uploads = os.path.join(self.registry.data, "uploads")
        self.assertEqual(len(os.listdir(uploads)), 1)
        wait_until(lambda: os.listdir(uploads) == [], 60, "the upload that was left has gone")
        self.assertEqual(self.api.request("GET", location).status, 404)


class MemoryTest(LimitScenario):
    settings = {"limits": {"manifest_memory": "4MiB"}}

    def announce(self, size):
        """A push of which the server is to say whether it wants the body."""
        return self.raw().send((f"PUT /v2/team/app/manifests/1 HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n"
                                "Expect: 100-continue\r\n\r\n").encode())

    def test_manifest_memory(self):
        first = self.announce(3 * MIB)
        self.assertEqual(first.read_head()[0], 100)
        second = self.announce(2 * MIB)
        small = self.announce(64 * KIB)
        self.assertEqual(small.read_head()[0], 100)
        self.assertTrue(second.is_silent())
        first.close()
        self.assertEqual(second.read_head()[0], 100)


class AnswerTest(LimitScenario):
    settings = {"limits": {"answer_memory": "4MiB"}}

    def test_answer_memory(self):
        image = images.make_image([b"layer"], oci=True)
        self.api.push("team/app", "1", image)
        for number in range(4):
            artifact = images.make_artifact(image.top, "application/x.text", b"text", {str(number): "x" * 1_000_000})
            for content in artifact.blobs.values():
                self.api.push_blob_at_once("team/app", content)
            check_status(self.api.push_manifest("team/app", artifact.digest, artifact.top), 201)
        path = f"/v2/team/app/referrers/{image.digest}"
        with Raw(self.registry.port, is_narrow=True) as slow:  # takes what fits into its socket
            slow.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertEqual(slow.read_head()[0], 200)
            refused = check_status(self.api.request("GET", path), 503)
            self.assertIn("retry-after", refused.headers)
            check_status(self.api.request("HEAD", path), 200)
        wait_until(lambda: self.api.request("GET", path).status == 200, 10, "room again")


class TimeTest(LimitScenario):
    settings = {"limits": {"head_timeout": "300ms", "body_timeout": "300ms", "keep_alive_timeout": "300ms",
                           "send_timeout": "300ms", "drain_timeout": "300ms"}}

    def test_head_timeout(self):
        raw = self.raw().send(b"GET /v2/ HTTP/1.1\r\n")
        self.assertEqual(raw.read_answer()[0], 408)
        self.assertEqual(raw.read_all(), b"")

    def test_body_timeout(self):
        location = self.api.begin_upload("team/app")
        raw = self.raw().send(f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc".encode())
        self.assertEqual(raw.read_answer()[0], 408)
        self.assertEqual(raw.read_all(), b"")
        self.assertEqual(self.api.request("GET", location).headers["range"], "0-2")

    def test_keep_alive_timeout(self):
        raw = self.raw().send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(raw.read_answer()[0], 200)
        self.assertEqual(raw.read_all(), b"")

    def take_nothing(self):
        """A client that has asked for more than fits into sockets and does not read."""
        digest = self.api.push_blob("team/app", images.random_bytes(32 * MIB, 1))
        raw = self.raw().send(f"GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_until(lambda: self.registry.metric("requests_running") == 1, 10, "the pull is running")
        return digest

    def test_send_timeout(self):
        digest = self.take_nothing()
        line = self.registry.log.wait(lambda line: line.has(log="access", op="pull_blob", ref=digest), seconds(5),
                                      "the end of the pull")
        self.assertLess(int(line["bytes"]), 32 * MIB)

    def test_drain_timeout(self):
        location = self.api.begin_upload("team/app")
        raw = self.raw().send(f"PATCH {location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        raw.send(b"1\r\nx\r\n")
        wait_until(lambda: self.registry.metric("requests_running") == 1, 10, "the push is running")
        self.registry.send_signal(signal.SIGTERM)
        while self.registry.process.poll() is None:  # never silent for body_timeout
            try:
                raw.send(b"1\r\nx\r\n")
            except OSError:
                break
        self.assertEqual(self.registry.wait_end(seconds(5)), 0)


class RateTest(LimitScenario):
    settings = {"limits": {"body_grace": "1s", "body_rate": "1GiB"}}

    def test_body_grace(self):
        self.api.push_blob("team/app", b"in less than a second")

    def test_body_rate(self):
        location = self.api.begin_upload("team/app")
        raw = self.raw().send(f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n".encode())
        while raw.is_silent():  # never idle, and never fast enough
            raw.send(b"x")
        self.assertEqual(raw.read_answer()[0], 408)
        self.assertEqual(self.api.request("GET", location).status, 204)


class TableTest(unittest.TestCase):
    def test_every_limit_has_its_test(self):
        names = set(re.findall(r"^### `limits\.(\w+)`", run([binary(), "help", "settings"]).out, re.MULTILINE))
        self.assertGreater(len(names), 15)
        tests = {name[len("test_"):] for case in LimitScenario.__subclasses__() for name in dir(case)
                 if name.startswith("test_")}
        tests.add("drain_delay")  # test_drain: nothing can exceed it
        self.assertEqual(names - tests, set())


if __name__ == "__main__":
    unittest.main()
