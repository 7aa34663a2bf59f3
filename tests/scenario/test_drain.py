# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: what runs ends well, then the program ends with 0."""

import errno
import os
import signal
import socket
import threading
import time
import unittest

from support import images
from support.case import Scenario
from support.client import Client, Many, Raw, check_ok
from support.images import sha256
from support.server import seconds
from support.waiting import wait_until

MIB = 1 << 20


class DrainTest(Scenario):
    def setUp(self):
        self.docker = self.hub()
        self.cold = self.docker.publish_blob("library/cold", images.random_bytes(8 * MIB, 1))
        self.registry = self.server(self.docker, workers=2)
        self.api = self.client(self.registry)
        self.hosted = self.api.push_blob("team/app", images.random_bytes(16 * MIB, 2))
        self.progress = {}
        self.gate = threading.Event()

    def at(self, who, waits=False):
        """A client that notes how far it is, and after its first bytes waits for the gate."""
        def note(length):
            self.progress[who] = length
            if waits:
                self.gate.wait(60)
        return note

    def push_slowly(self, number, location):
        """PUT of a whole blob whose second half is sent when the gate opens."""
        content = images.random_bytes(2 * MIB, 10 + number)
        digest = sha256(content)
        mark = "&" if "?" in location else "?"
        with Raw(self.registry.port) as raw:
            raw.send((f"PUT {location}{mark}digest={digest} HTTP/1.1\r\nHost: x\r\n"
                      f"Content-Length: {len(content)}\r\n\r\n").encode())
            raw.send(content[:MIB])
            self.progress[f"push {number}"] = MIB
            self.gate.wait(60)
            raw.send(content[MIB:])
            return raw.read_answer()[0], digest

    def test_pulls_pushes_and_a_flight_end_well(self):
        locations = [self.api.begin_upload("team/app") for _ in range(4)]
        many = Many()
        for number in range(8):
            many.start(self.api.slow_blob, "team/app", self.hosted, 8e6, progress=self.at(f"pull {number}", True))
        fault = self.docker.fault(kind="cdn", reference=self.cold, stall_after=4 * MIB)
        many.start(self.api.blob, "library/cold", self.cold, keep=False, progress=self.at("flight"))
        for number, location in enumerate(locations):
            many.start(self.push_slowly, number, location)
        wait_until(lambda: len(self.progress) == 13 and self.registry.metric("requests_running") >= 13, 60,
                   lambda: f"all are under way: {self.progress}")
        self.registry.send_signal()
        self.registry.log.wait(lambda line: "drain" in line.text.lower() or "SIGTERM" in line.text, 10, "draining")
        self.gate.set()
        fault.release()
        results = many.join(90)
        for answer in results[:8]:
            check_ok(answer, self.hosted)
        check_ok(results[8], self.cold)
        self.assertEqual([status for status, _ in results[9:]], [201] * 4)
        self.assertEqual(self.registry.wait_end(), 0)
        self.registry.check_log()

        self.registry.start()
        api = self.client(self.registry)
        for _, digest in results[9:]:
            check_ok(api.blob("team/app", digest), digest)
        self.docker.down()
        check_ok(api.blob("library/cold", self.cold, keep=False), self.cold)

    def pull_that_waits(self, many):
        """A pull that is under way until the gate opens."""
        many.start(self.api.slow_blob, "team/app", self.hosted, 8e6, progress=self.at("slow", True))
        wait_until(lambda: "slow" in self.progress, 30, "the pull is under way")

    @staticmethod
    def refuses(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED

    @staticmethod
    def status(port, path):
        return Client(port).request("GET", path).status

    def test_new_clients_are_refused_while_a_pull_ends(self):
        many = Many()
        self.pull_that_waits(many)
        self.assertEqual(self.status(self.registry.admin, "/readyz"), 200)
        self.registry.send_signal()
        wait_until(lambda: self.refuses(self.registry.port), seconds(2), "clients are refused")
        self.assertEqual(self.status(self.registry.admin, "/readyz"), 503)
        self.gate.set()
        check_ok(many.join(60)[0], self.hosted)
        self.assertEqual(self.registry.wait_end(), 0)

    def test_delay_keeps_the_port_open(self):
        registry = self.server(self.docker, {"limits": {"drain_delay": "10m"}})
        registry.send_signal()
        wait_until(lambda: self.status(registry.admin, "/readyz") == 503, seconds(2), "it is not ready")
        self.assertEqual(self.status(registry.port, "/v2/"), 200)
        registry.send_signal()
        registry.expected_exit = registry.wait_end(15)

    def test_successor_of_a_killed_master_has_the_port(self):
        many = Many()
        self.pull_that_waits(many)
        ports = {"listen": f"127.0.0.1:{self.registry.port}", "admin": f"127.0.0.1:{self.registry.admin}"}
        os.kill(self.registry.process.pid, signal.SIGKILL)
        self.registry.process.wait()
        self.registry.process = None
        began = time.monotonic()
        successor = self.server(self.docker, ports, folder=self.registry.folder)
        self.assertEqual(self.status(successor.port, "/v2/"), 200)
        self.assertLess(time.monotonic() - began, seconds(2))
        self.gate.set()
        check_ok(many.join(60)[0], self.hosted)

    def test_orphans_push_does_not_wait_for_a_keeper_that_cannot_come(self):
        location = self.api.begin_upload("team/app")
        many = Many()
        many.start(self.push_slowly, 0, location)
        wait_until(lambda: "push 0" in self.progress, 10, "the push is under way")
        os.kill(self.registry.process.pid, signal.SIGKILL)
        self.registry.process.wait()
        wait_until(lambda: not self.registry.children("keeper"), 10, "the keeper ends")
        began = time.monotonic()
        self.gate.set()
        self.assertEqual(many.join(60)[0][0], 503)
        self.assertLess(time.monotonic() - began, seconds(2))
        wait_until(lambda: not self.registry.children(), 40, "the workers end")
        self.registry.process = None

    def test_fetcher_or_keeper_that_hangs_is_not_ready(self):
        for role in ("fetcher", "keeper"):
            with self.subTest(role=role):
                wait_until(lambda: self.status(self.registry.admin, "/readyz") == 200, 10, "it is ready")
                pid = self.registry.pid(role)
                os.kill(pid, signal.SIGSTOP)
                try:
                    wait_until(lambda: self.status(self.registry.admin, "/readyz") == 503, seconds(2), "it is not ready")
                finally:
                    os.kill(pid, signal.SIGCONT)
                wait_until(lambda: self.status(self.registry.admin, "/readyz") == 200, 10, "it is ready again")

    def test_probe_at_the_wrong_port_is_told_the_right_one(self):
        answer = Client(self.registry.port).request("GET", "/readyz")
        self.assertEqual(answer.status, 404)
        self.assertIn("admin address, 127.0.0.1:0", answer.json()["errors"][0]["message"])

    def test_idle_server_ends_at_once(self):
        self.registry.send_signal()
        self.assertEqual(self.registry.wait_end(15), 0)


if __name__ == "__main__":
    unittest.main()
