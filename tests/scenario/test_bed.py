# SPDX-License-Identifier: Apache-2.0
"""The test bed itself: a fault that is not there would make every test that orders it pass."""

import hashlib
import json
import os
import subprocess
import sys
import time
import unittest
import urllib.request

from support import images
from support.case import Scenario
from support.client import Client, Many, request
from support.hub import Hub
from support.processes import run
from support.server import ROOT
from support.skopeo import Skopeo
from support.stock import StockRegistry
from support.waiting import Folder, need_root


class HubTest(Scenario):
    def setUp(self):
        self.open_hub = self.plain_hub()
        self.content = images.random_bytes(300_000, 1)
        self.digest = self.open_hub.publish_blob("library/thing", self.content)

    def plain_hub(self, **options):
        hub = Hub(None, needs_token=False, **options).start()
        self.addCleanup(hub.stop)
        return hub

    def get(self, **options):
        """The bytes, from the content network."""
        target = f"/data/library/thing/{self.digest}?verify=1"
        return request(self.open_hub.ports["cdn"], "GET", target, **options)

    def test_sends_what_was_published(self):
        answer = self.get()
        self.assertEqual((answer.status, answer.digest, answer.is_complete), (200, self.digest, True))
        self.assertEqual(self.open_hub.count(kind="cdn", reference=self.digest), 1)
        self.assertEqual(self.open_hub.sent(kind="cdn"), len(self.content))

    def test_redirects_blobs_to_the_content_network(self):
        answer = Client(self.open_hub.ports["registry"]).blob("library/thing", self.digest)
        self.assertEqual(answer.status, 307)
        self.assertTrue(answer.headers["location"].startswith(self.open_hub.cdn_url))

    def test_content_network_refuses_credentials(self):
        self.assertEqual(self.get(headers={"Authorization": "Bearer x"}).status, 400)
        self.assertEqual(self.open_hub.authorized_cdn_requests, 1)

    def test_serves_ranges(self):
        answer = self.get(headers={"Range": "bytes=100-199"})
        self.assertEqual((answer.status, answer.body), (206, self.content[100:200]))
        self.assertEqual(self.get(headers={"Range": "bytes=-7"}).body, self.content[-7:])
        self.assertEqual(self.get(headers={"Range": "bytes=300000-"}).status, 416)

    def test_flips_a_byte_also_in_a_range(self):
        self.open_hub.fault(kind="cdn", flip_at=-1)
        answer = self.get()
        self.assertEqual((answer.length, answer.is_complete), (len(self.content), True))
        self.assertNotEqual(answer.digest, self.digest)
        self.assertNotEqual(self.get(headers={"Range": "bytes=299999-"}).body, self.content[-1:])
        self.assertEqual(self.get(headers={"Range": "bytes=0-9"}).body, self.content[:10])

    def test_cuts_after_so_many_bytes_so_many_times(self):
        fault = self.open_hub.fault(kind="cdn", cut_after=1000, times=1)
        answer = self.get()
        self.assertEqual(answer.status, 200)
        self.assertFalse(answer.is_complete)
        self.assertLessEqual(answer.length, 1000)
        self.assertTrue(self.get().is_complete)
        self.assertEqual(fault.met, 1)

    def test_cuts_without_a_reset(self):
        self.open_hub.fault(kind="cdn", cut_after=1000, cut="fin")
        answer = self.get()
        self.assertFalse(answer.is_complete)
        self.assertEqual(answer.length, 1000)

    def test_stalls_until_released(self):
        fault = self.open_hub.fault(kind="cdn", stall_after=1000)
        many = Many()
        many.start(self.get)
        self.open_hub.wait(lambda: self.open_hub.sent(kind="cdn") == 1000, 10)
        fault.release()
        self.assertEqual(many.join()[0].digest, self.digest)

    def test_lies_about_lengths_that_agree_with_themselves(self):
        self.open_hub.fault(kind="cdn", short=1, times=1)
        self.assertEqual(self.get().length, len(self.content) - 1)
        self.open_hub.fault(kind="cdn", long=3, times=1)
        answer = self.get()
        self.assertEqual((answer.length, answer.is_complete), (len(self.content) + 3, True))

    def test_sends_at_the_rate_asked_for(self):
        self.open_hub.fault(kind="cdn", rate=600_000)
        began = time.monotonic()
        self.assertEqual(self.get().digest, self.digest)
        self.assertGreater(time.monotonic() - began, 0.4)

    def test_sends_chunked_or_without_any_length(self):
        self.open_hub.fault(kind="cdn", chunked=True, times=1)
        answer = self.get()
        self.assertNotIn("content-length", answer.headers)
        self.assertEqual(answer.digest, self.digest)
        self.open_hub.fault(kind="cdn", no_length=True, times=1)
        answer = self.get()
        self.assertNotIn("transfer-encoding", answer.headers)
        self.assertEqual(answer.digest, self.digest)

    def test_answers_any_status_and_can_close_before_the_head(self):
        self.open_hub.fault(kind="cdn", status=429, retry_after="7", times=1)
        answer = self.get()
        self.assertEqual((answer.status, answer.headers["retry-after"]), (429, "7"))
        self.open_hub.fault(kind="cdn", close=True, times=1)
        self.assertEqual(self.get().status, 0)
        self.open_hub.fault(kind="cdn", ignore_range=True)
        self.assertEqual(self.get(headers={"Range": "bytes=5-9"}).length, len(self.content))

    def test_counts_only_get_of_manifests_as_pulls(self):
        image = self.open_hub.publish("library/hello", "latest", images.make_image([b"layer"]))
        client = Client(self.open_hub.ports["registry"])
        self.assertEqual(client.manifest("library/hello", "latest", "HEAD").status, 200)
        self.assertEqual(self.open_hub.pulls, 0)
        answer = client.manifest("library/hello", "latest")
        self.assertEqual((answer.digest, answer.headers["ratelimit-remaining"]), (image.digest, "100;w=21600"))
        self.assertEqual(self.open_hub.pulls, 1)

    def test_stops_and_starts_on_the_same_ports(self):
        ports = dict(self.open_hub.ports)
        self.open_hub.down()
        self.assertEqual(self.get().status, 0)
        self.open_hub.up()
        self.assertEqual(self.open_hub.ports, ports)
        self.assertEqual(self.get().status, 200)

    def test_pages_its_tags_and_its_control_port_orders_faults(self):
        for tag in ("a", "b", "c"):
            self.open_hub.publish("library/hello", tag, images.make_image([b"layer"]))
        answer = Client(self.open_hub.ports["registry"]).tags("library/hello", "?n=2")
        self.assertEqual(answer.json()["tags"], ["a", "b"])
        self.assertIn("last=b", answer.headers["link"])
        fault = urllib.request.quote(json.dumps({"kind": "cdn", "status": 503}))
        urllib.request.urlopen(f"{self.open_hub.control_url}/fault?fault={fault}").close()
        self.assertEqual(self.get().status, 503)


class TokenTest(Scenario):
    def test_a_real_client_gets_a_token_and_a_private_image_needs_a_user(self):
        # Newer Go sends Authorization on to another port of the same host; a real network is another host.
        hub = self.hub(users={"user": "secret"}, cdn_host="127.0.0.2")
        hub.publish("library/hello", "latest", images.make_image([b"layer"]))
        hub.publish("team/private", "1", images.make_image([b"other"]), private=True)
        skopeo = self.daemon(Skopeo())
        address = hub.url.partition("//")[2]
        skopeo.to_folder(f"docker://{address}/library/hello:latest", "hello")
        self.assertGreaterEqual(hub.count(kind="token"), 1)
        self.assertEqual(hub.authorized_cdn_requests, 0)
        source = f"docker://{address}/team/private:1"
        self.assertNotEqual(skopeo.to_folder(source, "no", check=False)[1].status, 0)
        skopeo.to_folder(source, "yes", "--src-creds", "user:secret")


class ClientTest(Scenario):
    """Our client against a registry that others wrote."""

    def test_pushes_and_pulls_with_debians_registry(self):
        stock = self.daemon(StockRegistry())
        client = Client(stock.port)
        image = images.make_image([images.random_bytes(100_000, 3)], platforms=["amd64", "arm64"], oci=True)
        self.assertEqual(client.push("team/app", "1", image), image.digest)
        got = client.pull("team/app", "1")
        self.assertIn(image.layers[0], got)
        self.assertEqual(client.tags("team/app").json()["tags"], ["1"])

    def test_leaving_early_is_not_complete(self):
        stock = self.daemon(StockRegistry())
        client = Client(stock.port)
        content = images.random_bytes(2_000_000, 4)
        digest = client.push_blob("team/app", content)
        answer = client.blob("team/app", digest, stop_after=1000)
        self.assertFalse(answer.is_complete)
        self.assertEqual(client.slow_blob("team/app", digest, rate=20e6).digest, digest)
        self.assertEqual(hashlib.sha256(content).hexdigest(), digest[7:])


MODULE = """import errno
import socket
import unittest
from support.waiting import need, need_program

class Some(unittest.TestCase):
    def test_runs(self):
        pass

    def test_lacks(self):
        need_program("no-such-program")

class Network(unittest.TestCase):
    def test_ends_here(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            self.assertEqual(probe.connect_ex(("192.0.2.1", 53)), errno.ENETUNREACH)
            probe.connect(("127.0.0.1", 53))

class Nothing(unittest.TestCase):
    def setUp(self):
        need(False, "a tool\\nof two lines", in_debian=False)

    def test_lacks(self):
        pass

class Fails(unittest.TestCase):
    def test_fails(self):
        self.fail("on purpose")
"""


class RunnerTest(unittest.TestCase):
    """What a machine cannot run is counted and named (support.runner, tests/run), and what it runs stays on it."""

    def setUp(self):
        self.folder = Folder("skips")
        self.addCleanup(self.folder.remove)
        self.noted = self.folder / "noted"
        with open(self.folder / "some_tests.py", "w", encoding="utf-8") as out:
            out.write(MODULE)

    def run_tests(self, name, **variables):
        """The status for ctest, and what was noted."""
        path = f"{self.folder.path}:{os.path.join(ROOT, 'tests')}"
        environment = dict(os.environ, PYTHONPATH=path, ENTREPOT_SKIPPED=self.noted, **{"CI": "", **variables})
        with open(self.noted, "w", encoding="utf-8"):
            pass
        status = subprocess.run([sys.executable, "-B", "-m", "support.runner", name], env=environment, check=False,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        with open(self.noted, encoding="utf-8") as source:
            return status, source.read().splitlines()

    def test_a_module_that_ran_in_part_is_passed_and_the_rest_is_noted(self):
        status, noted = self.run_tests("some_tests.Some")
        self.assertEqual((status, noted), (0, ["some_tests.Some.test_lacks: needs no-such-program"]))

    def test_a_module_of_which_nothing_ran_is_skipped(self):
        status, noted = self.run_tests("some_tests.Nothing")
        self.assertEqual((status, noted), (77, ["some_tests.Nothing.test_lacks: needs a tool of two lines"]))

    def test_nothing_leaves_the_machine(self):
        need_root()
        self.assertEqual(self.run_tests("some_tests.Network"), (0, []))

    def test_a_failure_is_a_failure_whatever_was_skipped(self):
        self.assertEqual(self.run_tests("some_tests")[0], 1)

    def test_on_ci_only_what_debian_lacks_is_skipped(self):
        self.assertEqual(self.run_tests("some_tests.Some", CI="true"), (1, []))
        self.assertEqual(self.run_tests("some_tests.Nothing", CI="true")[0], 77)
        status, noted = self.run_tests("some_tests.Some", CI="true", ENTREPOT_ABSENT="other no-such-program")
        self.assertEqual((status, len(noted)), (0, 1))


class RunTest(unittest.TestCase):
    """tests/run before it builds anything."""

    def test_without_packages_and_without_root_it_says_the_line_for_apt_alone(self):
        folder = Folder("run")
        self.addCleanup(folder.remove)
        for name, script in (("id", "echo 1000"), ("dpkg-query", "exit 1")):
            with open(folder / name, "w", encoding="ascii") as out:
                out.write(f"#!/bin/sh\n{script}\n")
            os.chmod(folder / name, 0o755)
        result = run([os.path.join(ROOT, "tests", "run")], {"PATH": f"{folder.path}:{os.environ['PATH']}"}, check=False)
        self.assertNotEqual(result.status, 0)
        self.assertEqual(len((result.out + result.err).splitlines()), 1, result)
        self.assertRegex(result.err, "^apt-get update && apt-get install .* libevent-dev ")


if __name__ == "__main__":
    unittest.main()
