# SPDX-License-Identifier: Apache-2.0
"""A name server that does not answer: nothing waits for it but what needs that name."""

import os
import threading
import time
import unittest

from support import images
from support.case import Scenario
from support.client import Client, Many, check_ok
from support.hub import Hub
from support.server import built, preload, seconds
from support.waiting import Folder, need, wait_until

TAGS = 40


class SlowNamesTest(Scenario):
    def setUp(self):
        library = built("tests/scenario/libslow_names.so")
        need(os.path.exists(library), f"needs {library}")
        self.folder = Folder("names")
        self.addCleanup(self.folder.remove)
        self.gate = self.folder / "gate"
        self.lookups = self.folder / "lookups"
        for path in (self.gate, self.lookups):
            with open(path, "w", encoding="ascii"):
                pass
        self.named = self.plain_hub()
        self.literal = self.hub()
        self.image = self.named.publish("team/app", "1", images.make_image([b"named"]))
        for number in range(TAGS):
            self.literal.publish("library/hello", str(number), images.make_image([b"literal %d" % number]))
        url = f"http://{{}}.slow.test:{self.named.ports['registry']}"
        upstreams = {"docker.io": {"url": self.literal.url, "ca_file": self.literal.ca_file, "default": True}}
        upstreams.update({f"{name}.example": {"url": url.format(name)} for name in "abcdefghijkl"})
        self.registry = self.server(
            upstreams=upstreams, settings={"fetch": {"connect_timeout": "1s", "deadline": "3s", "retries": 1}},
            variables={"SLOW_NAMES_GATE": self.gate, "SLOW_NAMES_LOG": self.lookups, **preload(library)})
        self.api = self.client(self.registry)
        self.addCleanup(self.open_gate)
        check_ok(self.api.manifest("library/hello", "0"))
        self.fetcher = self.registry.pid("fetcher")

    def plain_hub(self):
        """Without TLS: certificates are for the loopback alone. Without a token server, which has an address."""
        hub = Hub(None, needs_token=False, redirects=False).start()
        self.addCleanup(hub.stop)
        return hub

    def open_gate(self):
        if os.path.exists(self.gate):
            os.unlink(self.gate)

    def began(self):
        with open(self.lookups, encoding="ascii") as source:
            return [line.split()[0].partition(".")[0] for line in source]

    def ask(self, name):
        return Client(self.registry.port, ns=f"{name}.example").manifest("team/app", "1")

    def check_literal(self, numbers):
        for number in numbers:
            began = time.monotonic()
            check_ok(self.api.manifest("library/hello", str(number)))
            self.assertLess(time.monotonic() - began, seconds(1), f"tag {number}")

    def test_other_upstreams_are_asked_meanwhile(self):
        many = Many()
        many.start(self.ask, "a")
        wait_until(lambda: "a" in self.began(), 10, lambda: "a lookup")
        is_over = threading.Event()
        watcher = Many()
        watcher.start(lambda: (many.join(60), is_over.set()))
        number = 1
        while not is_over.is_set() and number < TAGS - 5:  # until the client has given up, and after it
            self.check_literal([number])
            number += 1
            is_over.wait(0.1)
        watcher.join(60)
        self.check_literal(range(number, number + 5))
        self.assertEqual(self.registry.pid("fetcher"), self.fetcher)
        self.assertEqual(self.registry.log.find(level="error"), [])

    def test_one_lookup_serves_all_who_ask(self):
        many = Many()
        for _ in range(8):
            many.start(self.ask, "a")
        many.join(60)
        self.assertEqual(self.began(), ["a"])
        self.open_gate()
        wait_until(lambda: self.ask("a").status == 200, 20, lambda: "the name's answer")
        self.assertEqual(self.began(), ["a"])

    def test_more_names_than_threads(self):
        many = Many()
        for name in "abcdefghijkl":
            many.start(self.ask, name)
        self.check_literal([1])
        for answer in many.join(60):
            self.assertIn(answer.status, (502, 504))
        self.check_literal([2])
        self.open_gate()
        for name in "abcdefghijkl":
            wait_until(lambda name=name: self.ask(name).status == 200, 20, lambda name=name: f"the answer of {name}")
        self.assertEqual(sorted(self.began()), list("abcdefghijkl"))

    def test_drain_does_not_wait_for_a_lookup(self):
        many = Many()
        many.start(self.ask, "a")
        wait_until(lambda: "a" in self.began(), 10, lambda: "a lookup")
        self.registry.send_signal()
        self.assertEqual(self.registry.wait_end(15), 0)
        many.join(60)
        self.registry.check_log()


if __name__ == "__main__":
    unittest.main()
