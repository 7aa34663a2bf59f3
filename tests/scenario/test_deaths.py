# SPDX-License-Identifier: Apache-2.0
"""Any process dies at any moment: it is back at once, the others go on, nothing acknowledged is lost.

ENTREPOT_SEED repeats a run; ENTREPOT_KILLS says how many of each role are killed (ENTREPOT_FULL: 20).
"""

import os
import random
import resource
import signal
import sys
import threading
import time
import unittest

from support import images
from support.case import Scenario
from support.client import Client, Many, Raw, check_ok
from support.images import sha256
from support.server import seconds
from support.waiting import Folder, is_full, wait_until

MIB = 1 << 20
ROLES = ("worker", "fetcher", "keeper")


def kills():
    return int(os.environ.get("ENTREPOT_KILLS", "20" if is_full() else "5"))


class Load:
    """Pushes, hits and misses, all the time. What was acknowledged is remembered; a wrong whole answer is noted."""

    def __init__(self, server, hub, seed):
        self.api = Client(server.port)
        self.hub = hub
        self.seed = seed
        self.lock = threading.Lock()
        self.blobs = {}   # digest -> repository: acknowledged with 201
        self.tags = {}    # (repository, tag) -> digest: acknowledged with 201
        self.wrong = []
        self.failed_hits = []
        self.answered = 0
        self.over = threading.Event()
        self.hit = images.random_bytes(2 * MIB, seed)
        self.hit_digest = self.api.push_blob("load/hits", self.hit)
        self.threads = []

    def start(self):
        for work in (self.push, self.push, self.pull_hits, self.pull_hits, self.pull_misses, self.pull_misses):
            thread = threading.Thread(target=self.repeat, args=(work, len(self.threads)), daemon=True)
            self.threads.append(thread)
            thread.start()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(90)
            if thread.is_alive():
                raise AssertionError("a client of the load hangs")

    def repeat(self, work, number):
        turn = 0
        while not self.over.is_set():
            turn += 1
            work(number, turn)

    def push(self, number, turn):
        name = f"load/push{number}"
        layer = images.random_bytes(random.Random(turn).choice((100, 70_000, 400_000)), (self.seed, number, turn))
        image = images.make_image([layer], label=f"{number} {turn}")
        try:
            for content in image.blobs.values():
                digest = self.api.push_blob(name, content)
                with self.lock:
                    self.blobs[digest] = name
            tag = f"t{turn % 20}"
            with self.lock:
                before = self.tags.pop((name, tag), None)
            answer = self.api.push_manifest(name, tag, image.top)
            with self.lock:
                if answer.status == 201:
                    self.tags[(name, tag)] = image.digest
                    self.answered += 1
                elif answer.status and before:
                    self.tags[(name, tag)] = before  # refused: as before; without an answer it may be either
        except AssertionError:
            self.over.wait(0.01)  # its process died; the next turn is another image

    def pull_hits(self, number, turn):
        answer = self.api.blob("load/hits", self.hit_digest, keep=False)
        if answer.is_complete and answer.status == 200 and answer.digest == self.hit_digest:
            with self.lock:
                self.answered += 1
            return
        with self.lock:
            self.failed_hits.append((time.monotonic(), str(answer)))
            if answer.is_complete and answer.status == 200:
                self.wrong.append(str(answer))

    def pull_misses(self, number, turn):
        content = images.random_bytes(random.Random(turn).choice((1000, 200_000, 3 * MIB)), (self.seed, -number, turn))
        digest = self.hub.publish_blob("library/misses", content)
        for _ in range(4):
            answer = self.api.blob("library/misses", digest, keep=False)
            if answer.status == 200 and answer.is_complete:
                with self.lock:
                    self.answered += 1
                    if answer.digest != digest:
                        self.wrong.append(str(answer))
                return
            self.over.wait(0.05)

    def acknowledged(self):
        with self.lock:
            return dict(self.blobs), dict(self.tags)


class DeathScenario(Scenario):
    def setUp(self):
        self.docker = self.hub()
        self.registry = self.server(self.docker, workers=2, settings={"fetch": {"negative_ttl": "0s"}})
        self.seed = int(os.environ.get("ENTREPOT_SEED", random.SystemRandom().randrange(1 << 30)))
        print(f"ENTREPOT_SEED={self.seed}", file=sys.stderr)


class LoadTest(DeathScenario):
    def setUp(self):
        super().setUp()
        self.load = Load(self.registry, self.docker, self.seed)
        self.random = random.Random(self.seed)
        self.checked = set()

    def check_acknowledged(self):
        """Everything, whatever died. Tags that are being overwritten at this moment are left to the next time."""
        blobs, tags = self.load.acknowledged()
        for digest, name in blobs.items():
            if digest in self.checked:
                continue
            check_ok(self.load.api.blob(name, digest, keep=False), digest)
        for (name, tag), digest in tags.items():
            answer = self.load.api.manifest(name, tag)
            _, now = self.load.acknowledged()
            if now.get((name, tag)) == digest:
                check_ok(answer, digest)
        return blobs

    def kill_one(self, role):
        self.load.over.wait(self.random.uniform(0.05, 0.5))
        slot = self.random.randrange(2) if role == "worker" else None
        before = {child.pid for child in self.registry.children()}
        answered = self.load.answered
        killed_at = time.monotonic()
        old = self.registry.kill(role, slot)
        self.registry.wait_respawn(role, slot, old, seconds(1))
        wait_until(lambda: self.load.answered > answered, seconds(1), f"an answer after the {role} died")
        blobs = self.check_acknowledged()
        self.checked.update(random.Random(self.seed).sample(sorted(blobs), len(blobs) // 2))
        self.assertLessEqual(before - {old}, {child.pid for child in self.registry.children()}, f"the others of {role}")
        failed = [text for when, text in self.load.failed_hits if when >= killed_at]
        # A dying worker takes the connections it has; those of the others do not notice.
        self.assertLessEqual(len(failed), 2 if role == "worker" else 0, f"{role}: {failed}")

    def test_nothing_acknowledged_is_lost(self):
        self.load.start()
        try:
            order = list(ROLES) * kills()
            self.random.shuffle(order)
            for role in order:
                self.kill_one(role)
        finally:
            self.load.stop()
        self.assertEqual(self.load.wrong, [])
        self.checked.clear()
        self.check_acknowledged()
        self.assertGreater(len(self.load.blobs), 10)
        # And after everything was stopped and started.
        self.registry.stop()
        self.registry.start()
        self.load.api.port = self.registry.port
        self.check_acknowledged()
        print(f"{len(self.load.blobs)} blobs, {len(self.load.tags)} tags", file=sys.stderr)


class WorkerTest(DeathScenario):
    def test_other_workers_followers_go_on(self):
        """A worker dies while both serve the same flight: the other's clients get everything."""
        digest = self.docker.publish_blob("library/big", images.random_bytes(8 * MIB, self.seed))
        fault = self.docker.fault(kind="cdn", reference=digest, stall_after=4 * MIB)
        arrived = {}
        many = Many()
        for number in range(12):
            many.start(Client(self.registry.port).blob, "library/big", digest, keep=False,
                       progress=lambda length, number=number: arrived.update({number: length}))
        wait_until(lambda: len(arrived) == 12, 30, lambda: f"all have bytes: {arrived}")
        old = self.registry.kill("worker", 0)
        self.registry.wait_respawn("worker", 0, old)
        fault.release()
        whole = [answer for answer in many.join() if answer.is_complete]
        for answer in whole:
            check_ok(answer, digest)
        self.assertGreaterEqual(len(whole), 2)
        check_ok(Client(self.registry.port).blob("library/big", digest, keep=False), digest)
        self.assertEqual(self.docker.count(kind="cdn", reference=digest), 1)

    def test_upload_session_outlives_its_worker(self):
        api = Client(self.registry.port)
        content = images.random_bytes(300_000, self.seed)
        location = api.begin_upload("team/app")
        offset = 0
        for slot in (0, 1, 0):
            answer = api.patch(location, content[offset:offset + 100_000], offset)
            self.assertEqual(answer.status, 202, answer)
            offset += 100_000
            old = self.registry.kill("worker", slot)
            self.registry.wait_respawn("worker", slot, old)
        answer = api.finish_upload(location, sha256(content))
        self.assertEqual(answer.status, 201, answer)
        check_ok(api.blob("team/app", sha256(content)), sha256(content))

    def test_crash_loop_does_not_stop_the_others(self):
        api = Client(self.registry.port)
        digest = api.push_blob("team/app", b"served all the time")
        for _ in range(6):
            old = self.registry.kill("fetcher")
            check_ok(api.blob("team/app", digest), digest)
            self.registry.wait_respawn("fetcher", None, old, 20)
        wait_until(lambda: self.registry.metric("restarts") >= 6, 5, "restarts are counted")


class HangTest(DeathScenario):
    """Processes that are alive and do nothing."""

    def stopped(self, role, slot=None):
        pid = self.registry.kill(role, slot, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        return pid

    def test_hits_need_neither_fetcher_nor_keeper(self):
        api = Client(self.registry.port)
        image = self.docker.publish("library/hello", "latest", images.make_image([images.random_bytes(2 * MIB, 1)]))
        api.pull("library/hello", "latest")
        hosted = api.push("team/app", "1", images.make_image([b"hosted"]))
        self.registry.settle()
        for role in ("fetcher", "keeper"):
            self.stopped(role)
        for _ in range(3):
            check_ok(api.manifest("library/hello", image.digest), image.digest)
            check_ok(api.blob("library/hello", image.layers[0], keep=False), image.layers[0])
            check_ok(api.manifest("team/app", "1"), hosted)
            api.pull("team/app", "1")

    def test_new_connections_find_a_worker_that_runs(self):
        self.stopped("worker", 0)
        many = Many()
        for _ in range(100):
            many.start(Client(self.registry.port).request, "GET", "/v2/", timeout=10)
        self.assertEqual([answer.status for answer in many.join()], [200] * 100)


class DescriptorsTest(DeathScenario):
    """Who cannot take a message for want of descriptors has lost its channel to a process that lives."""

    def test_worker_ends_and_comes_back(self):
        layers = [str(number).encode() for number in range(800)]
        image = self.docker.publish("library/large", "latest", images.make_image(layers))
        self.assertGreater(len(image.top.content), 60 * 1024)  # travels as a memory file
        client = Raw(self.registry.port)
        self.addCleanup(client.close)
        client.send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(client.read_answer()[0], 200)
        before = {child.pid: resource.prlimit(child.pid, resource.RLIMIT_NOFILE)
                  for child in self.registry.children("worker")}
        for pid, (_, hard) in before.items():
            used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(len(used) + 1)) - used), hard))
        client.send(b"GET /v2/library/large/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n")
        self.registry.log.wait(lambda line: "out of descriptors or memory" in line.text, seconds(10), "a lost message")
        died = wait_until(lambda: set(before) - {child.pid for child in self.registry.children("worker")}, seconds(10),
                          "a worker ends")
        for pid in set(before) - died:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before[pid])
        wait_until(lambda: len(self.registry.children("worker")) == len(before), seconds(10), "all workers are there")
        for _ in range(10):
            check_ok(Client(self.registry.port).manifest("library/large", "latest"), image.digest)


class MasterTest(DeathScenario):
    def test_slow_pulls_end_well_and_a_new_server_takes_over(self):
        api = Client(self.registry.port)
        contents = [images.random_bytes(6 * MIB, self.seed), images.random_bytes(10_000, self.seed + 1)]
        digests = [api.push_blob("team/app", content) for content in contents]
        many = Many()
        arrived = {}
        for number in range(6):
            many.start(api.slow_blob, "team/app", digests[0], 2e6,
                       progress=lambda length, number=number: arrived.update({number: length}))
        wait_until(lambda: len(arrived) == 6, 20, "all are under way")
        old = {child.pid for child in self.registry.children()}
        self.registry.process.kill()
        self.registry.process.wait()
        killed_at = time.monotonic()
        folder = Folder("again")
        self.addCleanup(folder.remove)
        again = self.server(self.docker, settings={"storage": {"path": self.registry.data}}, folder=folder)
        for digest in digests:
            check_ok(Client(again.port).blob("team/app", digest, keep=False), digest)
        took = time.monotonic() - killed_at
        self.assertLess(took, seconds(2))
        check_ok(Client(again.port).blob("team/app", again_push(again), keep=False))
        for answer in many.join():
            check_ok(answer, digests[0])
        wait_until(lambda: not [child for child in self.registry.children() if child.pid in old], 40,
                   "the processes of the dead master end")
        self.registry.check_log()
        self.registry.process = None

    def test_acknowledged_is_there_after_all_are_killed(self):
        load = Load(self.registry, self.docker, self.seed)
        load.start()
        wait_until(lambda: len(load.tags) >= 4, 60, "some images")
        self.registry.end()
        blobs, tags = load.acknowledged()
        load.over.set()
        self.registry.start()
        load.stop()
        api = Client(self.registry.port)
        for digest, name in blobs.items():
            check_ok(api.blob(name, digest, keep=False), digest)
        for (name, tag), digest in tags.items():
            check_ok(api.manifest(name, tag), digest)


def again_push(server):
    return Client(server.port).push_blob("team/app", b"written after the old master's death")


class MasterTest(Scenario):
    """What the master does about processes that cannot begin."""

    def test_process_that_hangs_before_it_is_ready_is_replaced(self):
        hub = self.hub()
        server = self.server(hub, failpoints=[])
        server.arm("child.start@fetcher=hang", "master.start_is_late=fail")
        dead = server.kill("fetcher")
        server.wait_respawn("fetcher", 0, dead)
        hanging = server.pid("fetcher")
        server.log.wait(lambda line: "did not become ready" in line.text, seconds(20), "the fetcher is too late")
        server.arm()
        server.wait_respawn("fetcher", 0, hanging, seconds(20))
        hub.publish("library/hello", "latest", images.hello_image())
        Client(server.port).pull("library/hello", "latest")

    def test_channels_that_could_not_be_made_are_made_later(self):
        hub = self.hub()
        server = self.server(hub, failpoints=[])
        hub.publish("library/hello", "latest", images.hello_image())
        server.arm("ipc.channel_pair@master=fail:1:3")  # the first is the new process's line
        server.wait_respawn("fetcher", 0, server.kill("fetcher"))
        server.log.wait(lambda line: "failpoint ipc.channel_pair" in line.text, seconds(5), "no channel")
        Client(server.port).pull("library/hello", "latest")

    def test_worker_that_hangs_has_its_successor_before_it_is_dead(self):
        """A stopped process cannot write its core: two processes of one slot live for a while."""
        server = self.server(failpoints=[], workers=2)
        hanging = server.kill("worker", 0, signal.SIGSTOP)
        line = server.log.wait(lambda entry: "does not answer" in entry.text, seconds(30), "a worker hangs")
        self.assertIn(f"pid {hanging}", line.text)
        wait_until(lambda: len({child.pid for child in server.children("worker", 0)} - {hanging}) == 1, 4, "a successor")
        self.assertIn(hanging, {child.pid for child in server.children("worker", 0)})
        server.log.wait(lambda entry: "its successor is there already" in entry.text, seconds(20), "the end of the old")
        self.assertEqual(len(server.children("worker", 0)), 1)
        wait_until(lambda: server.metric("connections") <= 1, 10, "no gauges of the dead")
        self.assertEqual(server.metric("restarts"), 1)
        for _ in range(8):
            Client(server.port).push_blob("team/app", b"both workers serve")

    def test_worker_that_sends_nonsense_is_killed(self):
        server = self.server(failpoints=[])
        server.arm("keeper.order_is_bad@keeper=fail:0:1")
        Client(server.port).request("POST", "/v2/team/app/blobs/uploads/")  # its connection may end with the worker
        server.log.wait(lambda entry: "sent a malformed message" in entry.text, 5, "the worker is killed")
        wait_until(lambda: len(server.children("worker")) == 2, 5, "both are there")
        self.assertEqual(server.metric("restarts"), 1)
        Client(server.port).push_blob("team/app", b"both serve")


if __name__ == "__main__":
    unittest.main()
