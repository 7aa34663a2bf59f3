# SPDX-License-Identifier: Apache-2.0
"""Many clients want the same blob that nobody has yet: one download, everybody is served from it while it comes."""

import threading
import unittest

from support import images
from support.case import Scenario
from support.client import Many, check_ok
from support.waiting import wait_until

MIB = 1 << 20
CLIENTS = 60
WORKERS = 4


class HerdTest(Scenario):
    def test_sixty_clients_over_four_workers_share_one_download(self):
        hub = self.hub()
        content = images.random_bytes(32 * MIB, 1)
        digest = hub.publish_blob("library/big", content)
        registry = self.server(hub, workers=WORKERS)
        api = self.client(registry)
        # The second half waits until everybody is there, however slow the machine is.
        gate = hub.fault(kind="cdn", reference=digest, rate=8e6, stall_after=16 * MIB)
        arrived = set()
        lock = threading.Lock()

        def pull(number):
            def progress(_):
                with lock:
                    arrived.add(number)
            return api.blob("library/big", digest, keep=False, progress=progress, timeout=120)
        many = Many()
        for number in range(CLIENTS):
            many.start(pull, number)
        wait_until(lambda: len(arrived) == CLIENTS, 60, lambda: f"all clients have bytes, {len(arrived)} do")
        self.assertLessEqual(hub.sent(kind="cdn", reference=digest), 16 * MIB)
        gate.release()
        for answer in many.join(180):
            check_ok(answer, digest)
        for _ in range(5):
            check_ok(api.blob("library/big", digest, keep=False), digest)
        self.assertEqual(hub.count(kind="cdn", method="GET", reference=digest), 1, hub.story())

        def lines():
            found = registry.log.access(method="GET", ref=digest)
            return found if len(found) >= CLIENTS + 5 else None
        found = wait_until(lines, 10, "an access line for every pull")
        self.assertEqual([line["status"] for line in found], ["200"] * (CLIENTS + 5))
        joined = [line for line in found if line.get("joined") == "1"]
        for slot in range(WORKERS):
            count = len([line for line in joined if line.slot == slot])
            self.assertGreaterEqual(count, 10, f"joined in worker {slot}; all: {len(joined)}")

    def test_many_tags_checks_at_once_are_one_request(self):
        hub = self.hub()
        image = hub.publish("library/hello", "latest", images.make_image([b"layer"]))
        registry = self.server(hub, workers=WORKERS)
        api = self.client(registry)
        gate = hub.fault(kind="manifest", hold=True)
        many = Many()
        for _ in range(20):
            many.start(api.manifest, "library/hello", "latest")
        wait_until(lambda: gate.met >= 1 and registry.metric("requests_running") >= 20, 20, "all are waiting")
        gate.release()
        for answer in many.join():
            check_ok(answer, image.digest)
        self.assertLessEqual(hub.count(kind="manifest"), 2, hub.story())
        self.assertEqual(hub.pulls, 1, hub.story())


if __name__ == "__main__":
    unittest.main()
