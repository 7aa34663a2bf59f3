# SPDX-License-Identifier: Apache-2.0
"""containerd: pulls with hosts.toml (?ns=docker.io), pushes in the plain."""

import unittest

from support import images
from support.case import Scenario
from support.client import check_ok
from support.containerd import Containerd
from support.waiting import need_root

HELLO = "docker.io/library/hello:latest"


class ContainerdTest(Scenario):
    def setUp(self):
        need_root()
        self.docker = self.hub()
        self.image = self.docker.publish("library/hello", "latest", images.hello_image(platforms=["amd64", "arm64"]))
        self.registry = self.server(self.docker)

    def containerd(self):
        # The upstream itself does not exist: what comes, comes from us.
        return self.daemon(Containerd({"docker.io": ("https://127.0.0.1:1", [self.registry.url])}))

    def test_pulls_from_the_hub_through_us(self):
        first = self.containerd()
        first.pull(HELLO)
        self.assertEqual(self.docker.count(kind="cdn", reference=self.image.layers[0]), 1)
        self.docker.down()
        second = self.containerd()
        second.pull(HELLO)
        self.assertIn(self.image.digest, second.ctr("images", "ls").out)
        lines = self.registry.log.access(method="GET", ref=self.image.layers[0])
        self.assertEqual(lines[-1]["source"], "disk")
        self.assertEqual(lines[-1]["origin"], "docker.io")

    def test_all_platforms(self):
        self.containerd().pull(HELLO, "--all-platforms")
        for digest in self.image.blobs:
            self.assertEqual(self.docker.count(kind="cdn", reference=digest), 1, self.docker.story())

    def test_pushes_and_another_pulls(self):
        first = self.containerd()
        first.pull(HELLO, "--all-platforms")
        own = f"{self.registry.address}/team/hello:1"
        first.ctr("images", "tag", HELLO, own)
        first.push(own, "--plain-http")
        self.docker.down()
        second = self.containerd()
        second.pull(own, "--plain-http", "--all-platforms")
        check_ok(self.client(self.registry).manifest("team/hello", "1"), self.image.digest)

    def test_resumes_a_download_that_we_cut(self):
        """The worker that serves dies; containerd asks again for the rest."""
        layer = images.tar_layer({"big": images.random_bytes(12 << 20, 3)})
        image = self.docker.publish("library/big", "1", images.make_image([layer]))
        self.docker.fault(kind="cdn", reference=image.layers[0], cut_after=4 << 20, times=2)
        self.containerd().pull("docker.io/library/big:1")


if __name__ == "__main__":
    unittest.main()
