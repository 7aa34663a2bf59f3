# SPDX-License-Identifier: Apache-2.0
"""The same as pull-through caches: each has a Hub in small behind it, with the same images."""

import unittest

from support import images
from support.hub import Hub
from support.images import ALL_MANIFESTS, random_bytes, sha256
from support.stock import StockRegistry

from .compare import read_intended
from .oracle import OracleTest
from .script import ABSENT, BYTES, Script

LARGE = random_bytes(3 << 20, "large")
BLOB = random_bytes(100_000, "blob")
ANY = {"Accept": ALL_MANIFESTS}


def pictures():
    return {
        "library/docker": images.make_image([BLOB, b"docker"]),
        "library/oci": images.make_image([BLOB, b"oci"], oci=True),
        "team/list": images.make_image([b"list"], platforms=["amd64", "arm64"]),
        "team/deep/index": images.make_image([b"index"], platforms=["amd64", "arm64"], oci=True),
    }


def manifests(script):
    for name, image in pictures().items():
        base = f"/v2/{name}/manifests"
        script.get(f"{name}.cold", f"{base}/1", ANY)
        script.read(f"{name}.warm", f"{base}/1", ANY)
        script.read(f"{name}.digest", f"{base}/{image.digest}", ANY)
        script.head(f"{name}.second-tag", f"{base}/2", ANY)
        for number, manifest in enumerate(image.manifests):
            script.get(f"{name}.manifest{number}", f"{base}/{manifest.digest}", ANY)
        for number, digest in enumerate(image.blobs):
            script.get(f"{name}.blob{number}.cold", f"/v2/{name}/blobs/{digest}")
            script.get(f"{name}.blob{number}.warm", f"/v2/{name}/blobs/{digest}")
            script.head(f"{name}.blob{number}.head", f"/v2/{name}/blobs/{digest}")
            script.get(f"{name}.blob{number}.range", f"/v2/{name}/blobs/{digest}", {"Range": "bytes=1-3"})
        script.get(f"{name}.if-none-match", f"{base}/1", dict(ANY, **{"If-None-Match": f'"{image.digest}"'}))
        script.get(f"{name}.tags", f"/v2/{name}/tags/list")
        script.read(f"{name}.absent-tag", f"{base}/none", ANY)
        script.read(f"{name}.absent-digest", f"{base}/{ABSENT}", ANY)
        script.read(f"{name}.absent-blob", f"/v2/{name}/blobs/{ABSENT}")
    script.get("head-first.cold", "/v2/library/oci/manifests/3", ANY)
    script.head("other.head", "/v2/library/docker/manifests/3", ANY)


def blobs(script):
    path = f"/v2/library/large/blobs/{sha256(LARGE)}"
    script.get("large.cold", path)
    script.get("large.warm", path)
    for id, header in (("first", "bytes=0-0"), ("middle", "bytes=1000000-1000999"), ("last", "bytes=-10"),
                       ("open", "bytes=3145000-"), ("beyond", "bytes=9999999-")):
        script.get(f"large.range.{id}", path, {"Range": header})


def unknown(script):
    for id, name in (("one", "nobody"), ("two", "nobody/here"), ("three", "nobody/at/home")):
        script.read(f"unknown.{id}.tag", f"/v2/{name}/manifests/1", ANY)
        script.read(f"unknown.{id}.digest", f"/v2/{name}/manifests/{ABSENT}", ANY)
        script.get(f"unknown.{id}.blob", f"/v2/{name}/blobs/{ABSENT}")
        script.get(f"unknown.{id}.tags", f"/v2/{name}/tags/list")


def writes(script):
    image = pictures()["library/oci"]
    script.add("write.post", "POST", "/v2/library/oci/blobs/uploads/")
    script.add("write.patch", "PATCH", "/v2/library/oci/blobs/uploads/none", BYTES, b"x")
    script.add("write.put", "PUT", "/v2/library/oci/manifests/1", {"Content-Type": images.OCI_MANIFEST},
               image.top.content)
    script.add("write.delete-manifest", "DELETE", f"/v2/library/oci/manifests/{image.digest}")
    script.add("write.delete-blob", "DELETE", f"/v2/library/oci/blobs/{sha256(BLOB)}")


def whole_script():
    script = Script()
    for part in (manifests, blobs, unknown, writes):
        part(script)
    return script.requests


class MirrorTest(OracleTest):
    def publish(self):
        hub = Hub(None, needs_token=False, redirects=False).start()
        self.addCleanup(hub.stop)
        for name, image in pictures().items():
            for tag in ("1", "2", "3"):
                hub.publish(name, tag, image)
        hub.publish_blob("library/large", LARGE)
        return hub

    def test_pulls_through_are_those_of_the_reference_registry(self):
        ours, theirs = self.publish(), self.publish()
        stock = self.daemon(StockRegistry(mirror_of=theirs.url))
        server = self.server(upstreams={"docker.io": {"url": ours.url, "default": True}},
                             settings={"listen": [{"address": "127.0.0.1:0", "role": "mirror"}]})
        own = read_intended("intended_mirror.tsv")
        self.compare(whole_script(), server.port, stock.port, own + read_intended("intended.tsv"), own)


if __name__ == "__main__":
    unittest.main()
