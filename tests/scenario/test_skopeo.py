# SPDX-License-Identifier: Apache-2.0
"""skopeo: copies to us and from us, and from upstreams by prefix."""

import os
import unittest

from support import images
from support.case import Scenario
from support.client import check_ok
from support.images import sha256
from support.skopeo import Skopeo


class SkopeoTest(Scenario):
    def setUp(self):
        self.skopeo = self.daemon(Skopeo())
        self.docker = self.hub()
        self.image = self.docker.publish("library/hello", "latest", images.hello_image(platforms=["amd64", "arm64"]))
        self.registry = self.server(self.docker)

    def reference(self, name):
        return f"docker://{self.registry.address}/{name}"

    def check_folder(self, path, digests):
        for digest in digests:
            with open(os.path.join(path, digest.partition(":")[2]), "rb") as source:
                self.assertEqual(sha256(source.read()), digest)

    def test_copies_from_an_upstream_by_prefix(self):
        path, _ = self.skopeo.to_folder(self.reference("docker.io/library/hello:latest"), "all", "--all")
        self.check_folder(path, self.image.blobs)
        self.assertEqual(self.docker.count(kind="cdn"), len(self.image.blobs), self.docker.story())
        self.docker.down()
        path, _ = self.skopeo.to_folder(self.reference("docker.io/library/hello:latest"), "again", "--all")
        self.check_folder(path, self.image.blobs)

    def test_copies_in_and_out(self):
        path, _ = self.skopeo.to_folder(self.reference("docker.io/library/hello:latest"), "first", "--all")
        self.skopeo.copy(f"dir:{path}", self.reference("team/copy:1"), "--all")
        self.docker.down()
        back, _ = self.skopeo.to_folder(self.reference("team/copy:1"), "back", "--all")
        self.check_folder(back, self.image.blobs)
        check_ok(self.client(self.registry).manifest("team/copy", "1"), self.image.digest)
        self.assertEqual(self.skopeo.inspect(self.reference("team/copy:1")), self.image.top.document)

    def test_copies_within_us(self):
        self.skopeo.copy(self.reference("docker.io/library/hello:latest"), self.reference("team/hello:1"), "--all")
        self.docker.down()
        api = self.client(self.registry)
        check_ok(api.manifest("team/hello", "1"), self.image.digest)
        for digest in self.image.blobs:
            check_ok(api.blob("team/hello", digest), digest)
        self.skopeo.copy(self.reference("team/hello:1"), self.reference("team/again:1"), "--all")
        for digest in self.image.blobs:
            check_ok(api.blob("team/again", digest), digest)

    def test_lists_and_deletes_tags(self):
        self.skopeo.copy(self.reference("docker.io/library/hello:latest"), self.reference("team/hello:1"))
        listed = self.skopeo.run("list-tags", "--tls-verify=false", self.reference("team/hello")).out
        self.assertIn('"1"', listed)
        self.skopeo.run("delete", "--tls-verify=false", self.reference("team/hello:1"))
        self.assertEqual(self.client(self.registry).manifest("team/hello", "1").status, 404)

    def test_compressed_and_converted_on_the_way_in(self):
        source = self.reference("docker.io/library/hello:latest")
        self.skopeo.copy(source, self.reference("team/oci:1"), "--format", "oci")
        answer = self.client(self.registry).manifest("team/oci", "1")
        self.assertEqual(answer.headers["content-type"], images.OCI_MANIFEST)
        self.skopeo.to_folder(self.reference("team/oci:1"), "oci")


if __name__ == "__main__":
    unittest.main()
