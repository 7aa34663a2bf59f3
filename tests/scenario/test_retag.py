# SPDX-License-Identifier: Apache-2.0
"""Pull through us, tag, push to us: what is pushed must really be hosted, whether the Hub is up or down.

A registry that answers the pusher's questions from its copy of the Hub lets him push nothing.
"""

import unittest

from support import images
from support.case import Scenario
from support.client import check_ok
from support.containerd import Containerd
from support.dockerd import Dockerd, need_docker
from support.skopeo import Skopeo


class RetagScenario(Scenario):
    def setUp(self):
        need_docker()
        self.docker = self.hub()
        self.image = self.docker.publish("library/nginx", "latest", images.hello_image("this is nginx"))
        self.registry = self.server(self.docker, workers=3)
        self.api = self.client(self.registry)

    def uploads(self, name):
        return [line for line in self.registry.log.access(repo=name)
                if line.get("method") in ("POST", "PUT") and line.get("status") in ("201", "202")]

    def check_hosted(self, name, tag, uploads=5):
        """Everything is ours now: the Hub is down, and a fresh engine gets the image."""
        self.docker.down()
        self.assertIn(name, self.api.catalog().json()["repositories"])
        manifest = check_ok(self.api.manifest(name, tag)).json()
        for entry in [manifest["config"]] + manifest["layers"]:
            check_ok(self.api.blob(name, entry["digest"]), entry["digest"])
            self.assertEqual(self.api.blob(name, entry["digest"], "HEAD").status, 200)
        # A POST and a PUT for each of configuration and layer, and one PUT of the manifest.
        self.assertGreaterEqual(len(self.uploads(name)), uploads, self.registry.log.tail())
        fresh = self.daemon(Dockerd())
        self.assertIn("this is nginx", fresh.run(f"{self.registry.address}/{name}:{tag}"))


class DockerTest(RetagScenario):
    def retag(self, name, hub_is_down):
        engine = self.daemon(Dockerd([self.registry.url]))
        engine.docker("pull", "nginx")
        if hub_is_down:
            self.docker.down()
        engine.docker("tag", "nginx", f"{self.registry.address}/{name}")
        engine.docker("push", f"{self.registry.address}/{name}")

    def test_one_component_with_the_hub_up(self):
        self.retag("nginx", False)
        self.check_hosted("nginx", "latest")

    def test_one_component_with_the_hub_down(self):
        self.retag("nginx", True)
        self.check_hosted("nginx", "latest")

    def test_two_components_with_the_hub_up(self):
        self.retag("team/nginx", False)
        self.check_hosted("team/nginx", "latest")

    def test_two_components_with_the_hub_down(self):
        self.retag("team/nginx", True)
        self.check_hosted("team/nginx", "latest")


class ContainerdTest(RetagScenario):
    def retag(self, hub_is_down):
        engine = self.daemon(Containerd({"docker.io": ("https://127.0.0.1:1", [self.registry.url])}))
        engine.pull("docker.io/library/nginx:latest")
        if hub_is_down:
            self.docker.down()
        own = f"{self.registry.address}/nginx:latest"
        engine.ctr("images", "tag", "docker.io/library/nginx:latest", own)
        engine.push(own, "--plain-http")
        self.check_hosted("nginx", "latest")

    def test_with_the_hub_up(self):
        self.retag(False)

    def test_with_the_hub_down(self):
        self.retag(True)


class SkopeoTest(RetagScenario):
    def retag(self, hub_is_down):
        skopeo = self.daemon(Skopeo())
        source = f"docker://{self.registry.address}/docker.io/library/nginx:latest"
        path, _ = skopeo.to_folder(source, "nginx")
        if hub_is_down:
            self.docker.down()
        skopeo.copy(f"dir:{path}", f"docker://{self.registry.address}/nginx:latest")
        self.check_hosted("nginx", "latest", uploads=3)  # it remembers where it saw a blob, and asks us to mount

    def test_with_the_hub_up(self):
        self.retag(False)

    def test_with_the_hub_down(self):
        self.retag(True)

    def test_directly_from_the_mirror_to_the_hosted_name(self):
        skopeo = self.daemon(Skopeo())
        source = f"docker://{self.registry.address}/docker.io/library/nginx:latest"
        skopeo.copy(source, f"docker://{self.registry.address}/nginx:latest")
        self.check_hosted("nginx", "latest", uploads=3)


if __name__ == "__main__":
    unittest.main()
