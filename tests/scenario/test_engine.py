# SPDX-License-Identifier: Apache-2.0
"""A real Docker engine: our own images there and back, and Docker Hub through us. Every pull is by an empty engine."""

import unittest

from support import images
from support.case import Scenario
from support.client import check_status
from support.dockerd import Dockerd, need_docker

DOCKERFILE = 'FROM scratch\nCOPY busybox /bin/busybox\nCMD ["/bin/busybox", "echo", "built here"]\n'


class EngineScenario(Scenario):
    def setUp(self):
        need_docker()

    def engine(self, mirrors=()):
        return self.daemon(Dockerd(mirrors))

    def served(self, registry, digest, **fields):
        """The access lines of pulls of that blob."""
        return [line for line in registry.log.access(method="GET", ref=digest, **fields)]


class OwnImagesTest(EngineScenario):
    def build_and_push(self, registry, name):
        reference = f"{registry.address}/{name}"
        engine = self.engine()
        with open(images.BUSYBOX, "rb") as source:
            engine.build(reference, {"busybox": source.read()}, DOCKERFILE)
        engine.docker("push", reference)
        return reference

    def test_build_push_list_pull_run(self):
        registry = self.server()
        api = self.client(registry)
        reference = self.build_and_push(registry, "team/app:1.0")
        self.assertEqual(api.catalog().json(), {"repositories": ["team/app"]})
        self.assertEqual(api.tags("team/app").json(), {"name": "team/app", "tags": ["1.0"]})
        engine = self.engine()
        engine.docker("pull", reference)
        self.assertIn("built here", engine.run(reference))
        engine.docker("rmi", reference)
        self.assertEqual(engine.docker("images", "-q").out, "")
        self.assertIn("built here", engine.run(reference))
        for digest in api.manifest("team/app", "1.0").json()["layers"]:
            lines = self.served(registry, digest["digest"], status=200)
            self.assertEqual([line["source"] for line in lines], ["disk", "disk"])

    def test_restart_keeps_images(self):
        registry = self.server()
        reference = self.build_and_push(registry, "app:1")
        registry.stop()
        registry.start()
        again = f"{registry.address}/{reference.partition('/')[2]}"
        self.assertIn("built here", self.engine().run(again))

    def test_deleted_tag_and_image_are_gone(self):
        registry = self.server()
        api = self.client(registry)
        first = self.build_and_push(registry, "team/app:1")
        self.build_and_push(registry, "team/app:2")
        check_status(api.delete_manifest("team/app", "1"), 202)
        self.assertEqual(api.tags("team/app").json()["tags"], ["2"])
        engine = self.engine()
        refused = engine.docker("pull", first, check=False)
        self.assertNotEqual(refused.status, 0)
        self.assertIn("unknown", refused.err)
        digest = api.manifest("team/app", "2").headers["docker-content-digest"]
        check_status(api.delete_manifest("team/app", digest), 202)
        self.assertNotEqual(engine.docker("pull", f"{registry.address}/team/app:2", check=False).status, 0)


class MirrorTest(EngineScenario):
    def setUp(self):
        super().setUp()
        self.docker = self.hub()
        self.image = self.docker.publish("library/hello", "latest", images.hello_image("hello from the hub"))
        self.registry = self.server(self.docker, settings={"limits": {"keep_alive_timeout": "5s"}})

    def test_hub_image_comes_through_us_once_and_stays(self):
        engine = self.engine([self.registry.url])
        engine.docker("pull", "hello")
        self.assertIn("hello from the hub", engine.run("hello"))
        self.assertEqual(self.docker.pulls, 1, self.docker.story())
        layer = self.image.layers[0]
        self.assertEqual(self.docker.count(kind="cdn", reference=layer), 1)
        self.assertEqual(len(self.served(self.registry, layer, status=200)), 1)
        self.assertEqual(self.docker.authorized_cdn_requests, 0)

        # Another, empty engine: nothing but a check of the tag goes to the Hub.
        self.docker.forget()
        engine = self.engine([self.registry.url])
        self.assertIn("hello from the hub", engine.run("hello"))
        self.assertEqual(self.docker.pulls, 0, self.docker.story())
        self.assertEqual(self.docker.count(kind="cdn"), 0)
        self.assertEqual(self.served(self.registry, layer, status=200)[-1]["source"], "disk")

        # The Hub is gone and the tag's time is over.
        self.docker.down()
        engine = self.engine([self.registry.url])
        engine.docker("pull", "hello:latest")
        self.assertIn("hello from the hub", engine.run("hello"))
        engine.docker("rmi", "-f", "hello")
        self.assertEqual(engine.docker("images", "-q").out, "")
        self.assertIn("hello from the hub", engine.run("hello"))

    def test_moved_tag_is_pulled_anew(self):
        first = self.engine([self.registry.url])
        self.assertIn("hello from the hub", first.run("hello"))
        self.docker.publish("library/hello", "latest", images.hello_image("a newer hello"))
        self.registry.settings["upstreams"]["docker.io"]["tags"][0]["ttl"] = "0s"
        self.registry.stop()
        self.registry.start()
        second = self.engine([self.registry.url])
        self.assertIn("a newer hello", second.run("hello"))

    def test_multi_platform_image(self):
        self.docker.publish("library/multi", "1", images.hello_image("of many", ["amd64", "arm64"], oci=True))
        engine = self.engine([self.registry.url])
        self.assertIn("of many", engine.run("multi:1"))

    def test_what_the_hub_lacks_is_an_error(self):
        engine = self.engine([self.registry.url])
        self.assertNotEqual(engine.docker("pull", "nobody/nothing:1", check=False).status, 0)


if __name__ == "__main__":
    unittest.main()
