# SPDX-License-Identifier: Apache-2.0
"""Today's Docker engine with its containerd image store, and today's containerd: build, push, pull, mirrors, retag.

Unlike the older engine it sends ?ns=docker.io to its mirrors, pushes each blob with one PUT on several connections at
once, and asks for the referrers of attestations. Every pull is by an empty engine.
"""

import unittest

from support import images
from support.case import Scenario
from support.client import check_ok, check_status
from support.dockerd import Dockerd
from support.images import Manifest, sha256, to_json
from support.modern import ModernContainerd, ModernDocker, need_modern

DOCKERFILE = 'FROM scratch\nCOPY busybox /bin/busybox\nCMD ["/bin/busybox", "echo", "built here"]\n'
IN_TOTO = "application/vnd.in-toto+json"


def with_attestation(text):
    """What buildx pushes: an index of the image and of a manifest that says how it was built."""
    image = images.make_image([images.busybox_layer({"message": text.encode()})], None, True,
                              ("/bin/cat", "/message"), text)
    statement = to_json({"_type": "https://in-toto.io/Statement/v0.1", "subject": []})
    config = to_json({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers",
                                                                             "diff_ids": [sha256(statement)]}})
    attestation = Manifest(images.OCI_MANIFEST, to_json({
        "schemaVersion": 2, "mediaType": images.OCI_MANIFEST,
        "config": {"mediaType": images.OCI_CONFIG, "digest": sha256(config), "size": len(config)},
        "layers": [{"mediaType": IN_TOTO, "digest": sha256(statement), "size": len(statement)}]}))
    top = Manifest(images.OCI_INDEX, to_json({"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": [
        {"mediaType": images.OCI_MANIFEST, "digest": image.digest, "size": len(image.top.content),
         "platform": {"architecture": "amd64", "os": "linux"}},
        {"mediaType": images.OCI_MANIFEST, "digest": attestation.digest, "size": len(attestation.content),
         "platform": {"architecture": "unknown", "os": "unknown"},
         "annotations": {"vnd.docker.reference.type": "attestation-manifest",
                         "vnd.docker.reference.digest": image.digest}}]}))
    blobs = dict(image.blobs, **{sha256(blob): blob for blob in (statement, config)})
    return images.Image(top, [image.top, attestation, top], blobs, image.layers)


class ModernScenario(Scenario):
    def setUp(self):
        need_modern()
        self.docker = self.hub()
        self.image = self.docker.publish("library/hello", "latest",
                                         images.hello_image("hello from the hub", ["amd64", "arm64"], oci=True))
        self.registry = self.server(self.docker)
        self.api = self.client(self.registry)

    def engine(self, mirrors=()):
        return self.daemon(ModernDocker(mirrors))

    def behind_us(self):
        return self.engine([self.registry.url])

    def own(self, name):
        return f"{self.registry.address}/{name}"

    def lines(self, **fields):
        return self.registry.log.access(**fields)

    def check_hosted(self, name, tag):
        """All that the name says it has is there with the Hub down; returns the manifest on top."""
        self.docker.down()
        self.assertIn(name, self.api.catalog().json()["repositories"])
        top = check_ok(self.api.manifest(name, tag)).json()
        for entry in top.get("manifests", [{"digest": tag}]):
            document = check_ok(self.api.manifest(name, entry["digest"])).json()
            for blob in [document["config"]] + document["layers"]:
                check_ok(self.api.blob(name, blob["digest"]), blob["digest"])
        return top


class OwnImagesTest(ModernScenario):
    def build_and_push(self, name):
        engine = self.engine()
        with open(images.BUSYBOX, "rb") as source:
            engine.build(self.own(name), {"busybox": source.read()}, DOCKERFILE)
        engine.docker("push", self.own(name))
        return engine

    def test_build_push_pull_run(self):
        self.build_and_push("team/app:1.0")
        self.check_hosted("team/app", "1.0")
        self.assertEqual(self.api.tags("team/app").json()["tags"], ["1.0"])
        self.assertIn("built here", self.engine().run(self.own("team/app:1.0")))

    def test_second_push_sends_nothing(self):
        engine = self.build_and_push("team/app:1")
        before = len(self.lines(op="push_blob", status=201))
        engine.docker("tag", self.own("team/app:1"), self.own("team/app:2"))
        engine.docker("push", self.own("team/app:2"))
        self.assertEqual(len(self.lines(op="push_blob", status=201)), before)
        self.assertEqual(self.api.tags("team/app").json()["tags"], ["1", "2"])

    def test_push_under_another_name(self):
        engine = self.build_and_push("team/app:1")
        engine.docker("tag", self.own("team/app:1"), self.own("other/app:1"))
        engine.docker("push", self.own("other/app:1"))
        self.check_hosted("other/app", "1")

    def test_pull_by_digest(self):
        self.build_and_push("team/app:1")
        digest = self.api.manifest("team/app", "1").headers["docker-content-digest"]
        self.assertIn("built here", self.engine().run(self.own(f"team/app@{digest}")))

    def test_deleted_is_gone_and_can_be_pushed_again(self):
        engine = self.build_and_push("team/app:1")
        digest = self.api.manifest("team/app", "1").headers["docker-content-digest"]
        check_status(self.api.delete_manifest("team/app", digest), 202)
        other = self.engine()
        refused = other.docker("pull", self.own("team/app:1"), check=False)
        self.assertNotEqual(refused.status, 0)
        self.assertIn("not found", refused.err)
        engine.docker("push", self.own("team/app:1"))
        self.assertIn("built here", other.run(self.own("team/app:1")))

    def test_a_password_nobody_asked_for(self):
        engine = self.engine()
        engine.docker("login", "--username", "somebody", "--password", "secret", self.registry.address)
        with open(images.BUSYBOX, "rb") as source:
            engine.build(self.own("team/app:1"), {"busybox": source.read()}, DOCKERFILE)
        engine.docker("push", self.own("team/app:1"))
        for told in ("secret", "c29tZWJvZHk6c2VjcmV0"):
            self.assertNotIn(told, self.registry.log.tail(10000))

    def test_list_put_together_by_the_command(self):
        engine = self.daemon(Dockerd())  # the command of Debian 12 knows no OCI manifests
        parts = []
        for architecture in ("amd64", "arm64"):
            parts.append(self.own(f"team/app:{architecture}"))
            engine.build(parts[-1], {"busybox": architecture.encode()}, DOCKERFILE)
            engine.docker("push", parts[-1])
        for name in ("team/app", "other/app"):
            whole = self.own(f"{name}:all")
            engine.docker("manifest", "create", "--insecure", whole, *parts)
            engine.docker("manifest", "annotate", "--arch", "arm64", whole, parts[1])
            engine.docker("manifest", "push", "--insecure", whole)
            self.assertEqual(len(self.check_hosted(name, "all")["manifests"]), 2)

    def test_all_tags(self):
        engine = self.build_and_push("team/app:1")
        engine.docker("tag", self.own("team/app:1"), self.own("team/app:2"))
        engine.docker("push", "--all-tags", self.own("team/app"))
        other = self.engine()
        other.docker("pull", "--all-tags", self.own("team/app"))
        listed = other.docker("images", "--format", "{{.Tag}}", self.own("team/app")).out.split()
        self.assertEqual(sorted(listed), ["1", "2"])


class MirrorTest(ModernScenario):
    def test_hub_image_comes_through_us_once_and_stays(self):
        engine = self.behind_us()
        engine.docker("pull", "hello")
        self.assertIn("hello from the hub", engine.run("hello"))
        self.assertEqual(self.docker.count(kind="cdn", reference=self.image.layers[0]), 1, self.docker.story())
        self.assertEqual(self.docker.authorized_cdn_requests, 0)
        self.docker.down()
        other = self.behind_us()
        other.docker("pull", "hello:latest")
        self.assertIn("hello from the hub", other.run("hello"))
        line = self.lines(method="GET", ref=self.image.layers[0])[-1]
        self.assertEqual((line["source"], line["origin"]), ("disk", "docker.io"))

    def test_by_digest(self):
        reference = f"hello@{self.image.digest}"
        self.assertIn("hello from the hub", self.behind_us().run(reference))
        self.docker.down()
        self.assertIn("hello from the hub", self.behind_us().run(reference))

    def test_other_platform(self):
        engine = self.behind_us()
        engine.docker("pull", "--platform", "linux/arm64", "hello")
        self.assertEqual(self.docker.count(kind="cdn", reference=self.image.layers[0]), 0, self.docker.story())

    def test_moved_tag(self):
        engine = self.behind_us()
        engine.docker("pull", "hello")
        self.docker.publish("library/hello", "latest", images.hello_image("a newer hello", oci=True))
        self.registry.settings["upstreams"]["docker.io"]["tags"][0]["ttl"] = "0s"
        self.registry.settings["listen"] = self.registry.address
        self.registry.stop()
        self.registry.log.close()
        self.registry.start()
        engine.docker("pull", "hello")
        self.assertIn("a newer hello", engine.run("hello"))

    def test_attestations(self):
        self.docker.publish("team/attested", "1", with_attestation("built by somebody"))
        self.assertIn("built by somebody", self.behind_us().run("team/attested:1"))
        self.docker.down()
        self.assertIn("built by somebody", self.behind_us().run("team/attested:1"))
        lists = self.lines(op="list_referrers")  # of the attestation
        self.assertEqual([line["status"] for line in lists], ["200", "200"], self.registry.log.tail())

    def test_download_that_breaks_off_is_carried_on(self):
        image = self.docker.publish("team/big", "1", images.make_image(
            [images.tar_layer({"big": images.random_bytes(12 << 20, 3)})], oci=True))
        self.docker.fault(kind="cdn", reference=image.layers[0], cut_after=4 << 20, times=2)
        self.behind_us().docker("pull", "team/big:1")

    def test_dockerfile_from_the_hub(self):
        engine = self.behind_us()
        dockerfile = 'FROM hello\nCOPY new /new\nCMD ["/bin/cat", "/new"]\n'
        engine.build(self.own("team/derived:1"), {"new": b"new"}, dockerfile)
        engine.docker("push", self.own("team/derived:1"))
        self.check_hosted("team/derived", "1")
        self.assertIn("new", self.engine().run(self.own("team/derived:1")))


class BuildKitTest(ModernScenario):
    DOCKERFILE = 'FROM hello\nCOPY new /new\nCMD ["/bin/cat", "/new"]\n'

    def build(self, engine, *flags):
        return engine.build(self.own("team/derived:1"), {"new": b"new"}, self.DOCKERFILE, "--progress", "plain", *flags,
                            buildkit=True)

    def layers(self, engine):
        return engine.docker("image", "inspect", "--format", "{{.RootFS.Layers}}", self.own("team/derived:1")).out

    def test_base_image_from_the_hub(self):
        engine = self.behind_us()
        self.build(engine)
        self.assertEqual(self.docker.count(kind="cdn", reference=self.image.layers[0]), 1, self.docker.story())
        engine.docker("push", self.own("team/derived:1"))
        self.check_hosted("team/derived", "1")
        self.assertIn("new", self.engine().run(self.own("team/derived:1")))
        self.build(self.behind_us())  # with the Hub down

    def test_cache_from_a_pushed_image(self):
        engine = self.behind_us()
        self.build(engine, "--build-arg", "BUILDKIT_INLINE_CACHE=1")
        engine.docker("push", self.own("team/derived:1"))
        other = self.behind_us()
        self.build(other, "--cache-from", self.own("team/derived:1"))
        # The same layer, although the file is a newer one: it came from the cache.
        self.assertEqual(self.layers(other), self.layers(engine))

    def test_cache_index_names_blobs(self):
        """What --cache-to type=registry pushes: an index whose entries are layers and the cache's own document."""
        layer = images.tar_layer({"new": b"new"})
        config = to_json({"layers": [{"blob": sha256(layer), "parent": -1}], "records": []})
        index = Manifest(images.OCI_INDEX, to_json({
            "schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": [
                {"mediaType": images.OCI_LAYER, "digest": sha256(layer), "size": len(layer)},
                {"mediaType": "application/vnd.buildkit.cacheconfig.v0", "digest": sha256(config),
                 "size": len(config)}]}))
        for content in (layer, config):
            self.api.push_blob_at_once("team/cache", content)
        check_status(self.api.push_manifest("team/cache", "build", index), 201)
        check_ok(self.api.manifest("team/cache", "build"), index.digest)
        check_ok(self.api.blob("team/cache", sha256(layer)), sha256(layer))


class RetagTest(ModernScenario):
    def retag(self, name, hub_is_down):
        engine = self.behind_us()
        engine.docker("pull", "hello")
        if hub_is_down:
            self.docker.down()
        engine.docker("tag", "hello", self.own(name))
        engine.docker("push", self.own(name))
        self.docker.down()
        self.assertIn("hello from the hub", self.engine().run(self.own(name)))
        self.assertIn(name, self.api.catalog().json()["repositories"])

    def test_one_component_with_the_hub_up(self):
        self.retag("hello", False)

    def test_one_component_with_the_hub_down(self):
        self.retag("hello", True)

    def test_two_components_with_the_hub_up(self):
        self.retag("team/hello", False)

    def test_two_components_with_the_hub_down(self):
        self.retag("team/hello", True)

    def test_with_attestations(self):
        self.docker.publish("team/attested", "1", with_attestation("built by somebody"))
        engine = self.behind_us()
        engine.docker("pull", "team/attested:1")
        engine.docker("tag", "team/attested:1", self.own("mine/attested:1"))
        engine.docker("push", self.own("mine/attested:1"))
        self.check_hosted("mine/attested", "1")
        self.assertIn("built by somebody", self.engine().run(self.own("mine/attested:1")))


class ContainerdTest(ModernScenario):
    HELLO = "docker.io/library/hello:latest"

    def containerd(self, host=None, options="", **how):
        # The upstream itself does not exist: what comes, comes from us.
        text = f'server = "http://127.0.0.1:1"\n[host."{host or self.registry.url}"]\n' \
               f'  capabilities = ["pull", "resolve"]\n{options}'
        return self.daemon(ModernContainerd({"docker.io": text}, **how))

    def big(self, size=24 << 20):
        return self.docker.publish("team/big", "1", images.make_image(
            [images.tar_layer({"big": images.random_bytes(size, 3)})], oci=True))

    def test_parallel_ranges_of_a_cold_blob_are_one_download(self):
        image = self.big()
        self.containerd(downloads=4, piece=1 << 20).pull("docker.io/team/big:1")
        layer = image.layers[0]
        ranges = self.lines(method="GET", ref=layer, status=206)
        self.assertGreaterEqual(len(ranges), 4, self.registry.log.tail())
        self.assertEqual(self.docker.count(kind="cdn", reference=layer), 1, self.docker.story())
        check_ok(self.api.blob("docker.io/team/big", layer, keep=False), layer)

    def test_parallel_ranges_of_a_blob_that_comes_slowly(self):
        image = self.big(8 << 20)
        self.docker.fault(kind="cdn", reference=image.layers[0], rate=4 << 20)
        self.containerd(downloads=3, piece=1 << 20).pull("docker.io/team/big:1")
        self.assertEqual(self.docker.count(kind="cdn", reference=image.layers[0]), 1, self.docker.story())

    def test_parallel_ranges_of_a_blob_that_is_here(self):
        image = self.big()
        check_ok(self.api.blob("docker.io/team/big", image.layers[0], keep=False), image.layers[0])
        check_ok(self.api.manifest("docker.io/team/big", "1"))
        self.docker.forget()
        self.containerd(downloads=4, piece=1 << 20).pull("docker.io/team/big:1")
        self.assertEqual(self.docker.count(kind="cdn", reference=image.layers[0]), 0, self.docker.story())
        self.assertGreaterEqual(len(self.lines(method="GET", ref=image.layers[0], status=206)), 4)

    def test_mirror_with_a_path_of_its_own(self):
        host = f"{self.registry.url}/v2/docker.io"
        self.containerd(host, "  override_path = true\n").pull(self.HELLO)
        self.assertEqual(self.docker.count(kind="cdn", reference=self.image.layers[0]), 1, self.docker.story())

    def test_one_mirror_for_every_registry(self):
        quay = self.hub()
        quay.publish("team/tool", "1", images.hello_image("a tool of quay", oci=True))
        registry = self.server(upstreams={
            "docker.io": self.docker,
            "quay.io": {"url": quay.url, "ca_file": quay.ca_file, "tags": [{"match": "*", "ttl": "1s"}]}})
        for is_down in (False, True):
            if is_down:
                quay.down()
                self.docker.down()
            client = self.daemon(ModernContainerd({"_default": f'server = "{registry.url}"\n'}))
            client.pull(self.HELLO)
            client.pull("quay.io/team/tool:1")

    def test_all_platforms_there_and_back(self):
        first = self.containerd()
        first.pull(self.HELLO, "--all-platforms")
        first.ctr("images", "tag", self.HELLO, self.own("team/hello:1"))
        first.push(self.own("team/hello:1"), "--plain-http")
        self.check_hosted("team/hello", "1")
        second = self.containerd()
        second.pull(self.own("team/hello:1"), "--plain-http", "--all-platforms")
        self.assertIn(self.image.digest, second.ctr("images", "ls").out)

    def test_retag_to_one_component_with_the_hub_up(self):
        first = self.containerd()
        first.pull(self.HELLO, "--all-platforms")
        first.ctr("images", "tag", self.HELLO, self.own("hello:latest"))
        first.push(self.own("hello:latest"), "--plain-http")
        self.check_hosted("hello", "latest")


if __name__ == "__main__":
    unittest.main()
