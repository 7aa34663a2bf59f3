# SPDX-License-Identifier: Apache-2.0
"""podman, buildah and skopeo as their users use them: build, push, pull, mirrors of registries.conf, retag, delete."""

import json
import unittest

from support import images
from support.case import Scenario
from support.client import check_ok
from support.podman import Podman, need_podman
from support.skopeo import Skopeo

DOCKERFILE = 'FROM scratch\nCOPY busybox /bin/busybox\nCMD ["/bin/busybox", "echo", "built here"]\n'
HELLO = "docker.io/library/hello:latest"


def busybox():
    with open(images.BUSYBOX, "rb") as source:
        return source.read()


class PodmanScenario(Scenario):
    def setUp(self):
        need_podman()
        self.docker = self.hub()
        self.image = self.docker.publish("library/hello", "latest",
                                         images.hello_image("hello from the hub", ["amd64", "arm64"], oci=True))
        self.registry = self.server(self.docker)
        self.api = self.client(self.registry)

    def podman(self, options=()):
        """An empty one, whose docker.io is us and nobody else."""
        mirrors = {"docker.io": f"{self.registry.address}/docker.io"}
        return self.daemon(Podman(mirrors, [self.registry.address], options))

    def own(self, name):
        return f"{self.registry.address}/{name}"

    def lines(self, **fields):
        return self.registry.log.access(**fields)

    def check_hosted(self, name, tag):
        """All of it is there with the Hub down; returns the manifest on top."""
        self.docker.down()
        self.assertIn(name, self.api.catalog().json()["repositories"])
        top = check_ok(self.api.manifest(name, tag)).json()
        for entry in top.get("manifests", [{"digest": tag}]):
            document = check_ok(self.api.manifest(name, entry["digest"])).json()
            for blob in [document["config"]] + document["layers"]:
                check_ok(self.api.blob(name, blob["digest"]), blob["digest"])
        return top


class OwnImagesTest(PodmanScenario):
    def build_and_push(self, name, *flags):
        podman = self.podman()
        podman.build(self.own(name), {"busybox": busybox()}, DOCKERFILE)
        podman.podman("push", "--tls-verify=false", *flags, self.own(name))
        return podman

    def test_build_push_pull_run(self):
        self.build_and_push("team/app:1.0")
        other = self.podman()
        other.podman("pull", "--tls-verify=false", self.own("team/app:1.0"))
        self.assertIn("built here", other.run(self.own("team/app:1.0")))
        self.assertEqual(self.lines(method="POST", status=201), [])
        layer = self.api.manifest("team/app", "1.0").json()["layers"][0]["digest"]
        self.assertEqual([line["source"] for line in self.lines(method="GET", ref=layer)], ["disk"])

    def test_pull_by_digest_is_the_digest_it_told(self):
        podman = self.podman()
        podman.build(self.own("app:1"), {"busybox": busybox()}, DOCKERFILE)
        podman.podman("push", "--digestfile", podman.folder / "digest", self.own("app:1"))
        with open(podman.folder / "digest", encoding="ascii") as source:
            digest = source.read()
        check_ok(self.api.manifest("app", "1"), digest)
        self.assertIn("built here", self.podman().run(self.own(f"app@{digest}")))

    def test_second_push_sends_no_blob(self):
        podman = self.build_and_push("team/app:1")
        puts = len(self.lines(method="PUT", op="put_upload", status=201))
        podman.podman("tag", self.own("team/app:1"), self.own("team/app:2"))
        podman.podman("push", self.own("team/app:2"))
        self.assertEqual(len(self.lines(method="PUT", op="put_upload", status=201)), puts, self.registry.log.tail())

    def test_push_under_another_name_mounts(self):
        podman = self.build_and_push("team/app:1")
        podman.podman("tag", self.own("team/app:1"), self.own("other/app:1"))
        podman.podman("push", self.own("other/app:1"))
        self.assertNotEqual(self.lines(method="POST", repo="other/app", status=201), [], self.registry.log.tail())
        self.check_hosted("other/app", "1")

    def test_formats_of_manifests(self):
        podman = self.build_and_push("team/app:oci", "--format", "oci")
        podman.podman("push", "--format", "v2s2", "--remove-signatures", self.own("team/app:oci"),
                      self.own("team/app:v2s2"))
        self.assertEqual(self.api.manifest("team/app", "oci").headers["content-type"], images.OCI_MANIFEST)
        self.assertEqual(self.api.manifest("team/app", "v2s2").headers["content-type"], images.DOCKER_MANIFEST)
        self.assertIn("built here", self.podman().run(self.own("team/app:v2s2")))

    def test_zstd(self):
        self.build_and_push("team/app:1", "--format", "oci", "--compression-format", "zstd")
        self.assertIn("zstd", self.api.manifest("team/app", "1").json()["layers"][0]["mediaType"])
        self.assertIn("built here", self.podman().run(self.own("team/app:1")))

    def test_zstd_in_chunks_is_pulled_by_ranges(self):
        self.build_and_push("team/app:1", "--format", "oci", "--compression-format", "zstd:chunked")
        layer = self.api.manifest("team/app", "1").json()["layers"][0]
        self.assertIn("zstd", layer["mediaType"])
        self.assertIn("built here", self.podman().run(self.own("team/app:1")))
        statuses = {line["status"] for line in self.lines(method="GET", ref=layer["digest"])}
        self.assertIn("206", statuses, self.registry.log.tail())

    def test_search_finds_what_was_pushed(self):
        podman = self.build_and_push("team/app:1.0")
        found = podman.podman("search", "--tls-verify=false", "--format", "{{.Name}}", self.own("app")).out
        self.assertIn("team/app", found)
        tags = podman.podman("search", "--tls-verify=false", "--list-tags", self.own("team/app")).out
        self.assertEqual(tags.split()[2:], [self.own("team/app"), "1.0"])

    def test_all_tags(self):
        podman = self.build_and_push("team/app:1")
        for tag in ("2", "3"):
            podman.podman("push", self.own("team/app:1"), self.own(f"team/app:{tag}"))
        other = self.podman()
        other.podman("pull", "--all-tags", self.own("team/app"))
        listed = other.podman("images", "--format", "{{.Tag}}").out.split()
        self.assertEqual(sorted(listed), ["1", "2", "3"])

    def test_deleted_is_gone(self):
        podman = self.build_and_push("team/app:1")
        skopeo = self.daemon(Skopeo())
        skopeo.run("delete", "--tls-verify=false", f"docker://{self.own('team/app:1')}")
        self.assertEqual(self.api.manifest("team/app", "1").status, 404)
        refused = podman.podman("pull", self.own("team/app:1"), check=False)
        self.assertNotEqual(refused.status, 0)
        self.assertIn("manifest unknown", refused.err)
        podman.podman("push", self.own("team/app:1"))
        self.assertIn("built here", self.podman().run(self.own("team/app:1")))


class PlatformsTest(PodmanScenario):
    def test_list_pushed_whole_and_pulled_by_platform(self):
        podman = self.podman()
        podman.podman("manifest", "create", self.own("team/multi:1"))
        for architecture in ("amd64", "arm64"):
            folder = podman.context({"busybox": busybox(), "Dockerfile": DOCKERFILE.encode()})
            podman.podman("build", "--network", "host", "--no-cache", "--platform", f"linux/{architecture}",
                          "--manifest", self.own("team/multi:1"), ".", folder=folder)
        podman.podman("manifest", "push", "--all", "--tls-verify=false", self.own("team/multi:1"),
                      f"docker://{self.own('team/multi:1')}")
        top = self.check_hosted("team/multi", "1")
        self.assertEqual(sorted(entry["platform"]["architecture"] for entry in top["manifests"]), ["amd64", "arm64"])
        other = self.podman()
        other.podman("pull", "--platform", "linux/arm64", self.own("team/multi:1"))
        self.assertEqual(other.inspect(self.own("team/multi:1"))["Architecture"], "arm64")
        other.podman("pull", "--platform", "linux/amd64", self.own("team/multi:1"))
        self.assertIn("built here", other.run(self.own("team/multi:1")))

    def test_platform_of_a_hub_image(self):
        podman = self.podman()
        podman.podman("pull", "--platform", "linux/arm64", HELLO)
        self.assertEqual(podman.inspect(HELLO)["Architecture"], "arm64")
        self.assertEqual(self.docker.count(kind="cdn", reference=self.image.layers[0]), 0)


class MirrorTest(PodmanScenario):
    def test_hub_image_comes_through_us_once_and_stays(self):
        self.assertIn("hello from the hub", self.podman().run(HELLO))
        self.assertEqual(self.docker.count(kind="cdn", reference=self.image.layers[0]), 1, self.docker.story())
        self.docker.down()
        second = self.podman()
        second.podman("pull", "hello")  # unqualified-search-registries
        self.assertIn("hello from the hub", second.run("hello"))
        self.assertEqual(self.lines(method="GET", ref=self.image.layers[0])[-1]["source"], "disk")
        self.assertEqual(self.lines(method="GET", ref=self.image.layers[0])[-1]["origin"], "docker.io")

    def test_mirror_for_digests_only(self):
        podman = self.podman(['pull-from-mirror = "digest-only"'])
        podman.podman("pull", f"docker.io/library/hello@{self.image.digest}")
        self.assertEqual(self.docker.count(kind="cdn", reference=self.image.layers[0]), 1)

    def test_moved_tag(self):
        podman = self.podman()
        self.assertIn("hello from the hub", podman.run(HELLO))
        self.docker.publish("library/hello", "latest", images.hello_image("a newer hello"))
        self.registry.settings["upstreams"]["docker.io"]["tags"][0]["ttl"] = "0s"
        self.registry.settings["listen"] = self.registry.address
        self.registry.stop()
        self.registry.log.close()
        self.registry.start()
        podman.podman("pull", HELLO)
        self.assertIn("a newer hello", podman.run(HELLO))

    def test_what_the_hub_lacks_is_an_error(self):
        refused = self.podman().podman("pull", "docker.io/nobody/nothing:1", check=False)
        self.assertNotEqual(refused.status, 0)

    def test_dockerfile_from_the_hub(self):
        podman = self.podman()
        podman.build(self.own("team/derived:1"), {}, f'FROM hello\nRUN ["/bin/busybox", "touch", "/new"]\n'
                     'CMD ["/bin/ls", "/new"]\n')
        podman.podman("push", self.own("team/derived:1"))
        self.check_hosted("team/derived", "1")
        self.assertIn("/new", self.podman().run(self.own("team/derived:1")))

    def test_several_upstreams_by_prefix(self):
        quay = self.hub()
        quay.publish("team/tool", "1", images.hello_image("a tool of quay"))
        registry = self.server(upstreams={
            "docker.io": self.docker,
            "quay.io": {"url": quay.url, "ca_file": quay.ca_file, "tags": [{"match": "*", "ttl": "1s"}]}})
        podman = self.daemon(Podman({name: f"{registry.address}/{name}" for name in ("docker.io", "quay.io")}))
        self.assertIn("a tool of quay", podman.run("quay.io/team/tool:1"))
        self.assertIn("hello from the hub", podman.run(HELLO))
        quay.down()
        self.docker.down()
        podman = self.daemon(Podman({name: f"{registry.address}/{name}" for name in ("docker.io", "quay.io")}))
        self.assertIn("a tool of quay", podman.run("quay.io/team/tool:1"))
        self.assertIn("hello from the hub", podman.run(HELLO))


class RetagTest(PodmanScenario):
    def retag(self, name, hub_is_down):
        podman = self.podman()
        podman.podman("pull", HELLO)
        if hub_is_down:
            self.docker.down()
        podman.podman("tag", HELLO, self.own(name))
        podman.podman("push", self.own(name))
        self.check_hosted(name, "latest")
        self.assertIn("hello from the hub", self.daemon(Podman(plain=[self.registry.address])).run(self.own(name)))

    def test_one_component_with_the_hub_up(self):
        self.retag("hello", False)

    def test_one_component_with_the_hub_down(self):
        self.retag("hello", True)

    def test_two_components_with_the_hub_up(self):
        self.retag("team/hello", False)

    def test_two_components_with_the_hub_down(self):
        self.retag("team/hello", True)


class BuildahTest(PodmanScenario):
    def test_from_scratch_commit_push_pull(self):
        first = self.podman()
        container = first.buildah("from", "scratch").out.strip()
        path = first.context({"busybox": busybox()})
        first.buildah("copy", container, f"{path}/busybox", "/bin/busybox")
        first.buildah("config", "--cmd", '["/bin/busybox", "echo", "by buildah"]', container)
        first.buildah("commit", container, "made")
        first.buildah("push", "--tls-verify=false", "made", f"docker://{self.own('team/made:1')}")
        self.check_hosted("team/made", "1")
        second = self.podman()
        second.buildah("pull", "--tls-verify=false", self.own("team/made:1"))
        self.assertIn("by buildah", second.run(self.own("team/made:1")))

    def test_commits_straight_to_us(self):
        podman = self.podman()
        container = podman.buildah("from", "hello").out.strip()
        podman.buildah("config", "--label", "by=buildah", container)
        podman.buildah("commit", "--tls-verify=false", container, f"docker://{self.own('team/straight:1')}")
        self.check_hosted("team/straight", "1")
        self.assertIn("hello from the hub", self.podman().run(self.own("team/straight:1")))

    def test_list_of_platforms(self):
        podman = self.podman()
        folder = podman.context({"busybox": busybox(), "Dockerfile": DOCKERFILE.encode()})
        podman.buildah("build", "--network", "host", "--platform", "linux/amd64,linux/arm64", "--manifest", "multi",
                       ".", folder=folder)
        podman.buildah("manifest", "push", "--all", "--tls-verify=false", "multi", f"docker://{self.own('multi:1')}")
        self.assertEqual(len(self.check_hosted("multi", "1")["manifests"]), 2)
        skopeo = self.daemon(Skopeo())
        top = skopeo.inspect(f"docker://{self.own('multi:1')}")
        self.assertEqual(len(top["manifests"]), 2)
        skopeo.run("delete", "--tls-verify=false", f"docker://{self.own('multi:1')}")
        self.assertEqual(json.loads(self.api.tags("multi").body or b"{}").get("tags") or [], [])


if __name__ == "__main__":
    unittest.main()
