# SPDX-License-Identifier: Apache-2.0
"""What a name means: three ways of addressing, hosted and cached apart, nothing shadowed."""

import unittest

from support import images
from support.case import Scenario
from support.client import Client, check_ok, check_status
from support.images import sha256


class NamesScenario(Scenario):
    def setUp(self):
        self.docker = self.hub()
        self.other = self.hub()
        self.image = self.docker.publish("library/hello", "latest", images.make_image([b"of docker.io"]))
        self.other_image = self.other.publish("team/app", "1", images.make_image([b"of example.org"]))
        upstreams = {"docker.io": self.upstream(self.docker), "example.org": self.upstream(self.other, False)}
        self.registry = self.server(upstreams=upstreams, settings=self.settings())
        self.api = self.client(self.registry)

    @staticmethod
    def upstream(hub, default=True):
        return {"url": hub.url, "ca_file": hub.ca_file, "default": default, "tags": [{"match": "*", "ttl": "1s"}]}

    def settings(self):
        return {}

    def push(self, name, tag="1", content=b"hosted"):
        return self.api.push(name, tag, images.make_image([content]))


class AddressTest(NamesScenario):
    def test_bare_name_is_the_default_upstreams(self):
        answer = check_ok(self.api.manifest("library/hello", "latest"), self.image.digest)
        self.assertEqual(answer.headers.get("oci-namespace"), "docker.io")

    def test_one_component_means_library(self):
        check_ok(self.api.manifest("hello", "latest"), self.image.digest)

    def test_ns_names_the_upstream(self):
        docker = Client(self.registry.port, ns="docker.io")
        example = Client(self.registry.port, ns="example.org")
        check_ok(docker.manifest("library/hello", "latest"), self.image.digest)
        check_ok(example.manifest("team/app", "1"), self.other_image.digest)
        self.assertEqual(example.manifest("library/hello", "latest").status, 404)
        for alias in ("index.docker.io", "registry-1.docker.io"):
            check_ok(Client(self.registry.port, ns=alias).manifest("library/hello", "latest"), self.image.digest)

    def test_prefix_names_the_upstream(self):
        check_ok(self.api.manifest("docker.io/library/hello", "latest"), self.image.digest)
        check_ok(self.api.manifest("example.org/team/app", "1"), self.other_image.digest)
        check_ok(self.api.blob("example.org/team/app", self.other_image.layers[0]), self.other_image.layers[0])

    def test_unknown_ns_is_404_and_nobody_is_asked(self):
        answer = check_status(Client(self.registry.port, ns="evil.example").manifest("library/hello", "latest"), 404)
        self.assertEqual(answer.code, "NAME_UNKNOWN")
        self.assertEqual(len(self.docker.requests) + len(self.other.requests), 0)

    def test_same_name_at_two_upstreams_is_two_repositories(self):
        self.other.publish("library/hello", "latest", images.make_image([b"another hello"]))
        check_ok(self.api.manifest("library/hello", "latest"), self.image.digest)
        wrong = Client(self.registry.port, ns="example.org").manifest("library/hello", "latest")
        self.assertNotEqual(check_status(wrong, 200).digest, self.image.digest)
        check_ok(self.api.manifest("library/hello", "latest"), self.image.digest)


class OwnNameTest(NamesScenario):
    def settings(self):
        return {"names": ["registry.lab.example"]}

    def test_our_own_name_as_ns_means_hosted(self):
        digest = self.push("team/own")
        self.docker.forget()
        own = Client(self.registry.port, ns="registry.lab.example")
        check_ok(own.manifest("team/own", "1"), digest)
        self.assertEqual(own.manifest("library/hello", "latest").status, 404)
        self.assertEqual(self.docker.count(kind="manifest"), 0)


class HostedTest(NamesScenario):
    def settings(self):
        return {"hosted": {"reserved": ["acme/*"]}}

    def test_hosted_name_never_goes_upstream(self):
        digest = self.push("team/own")
        self.docker.publish("team/own", "2", images.make_image([b"of somebody else"]))
        self.docker.forget()
        check_ok(self.api.manifest("team/own", "1"), digest)
        self.assertEqual(self.api.manifest("team/own", "2").status, 404)
        self.assertEqual(self.api.blob("team/own", sha256(b"not here")).status, 404)
        self.assertEqual(self.api.tags("team/own").json()["tags"], ["1"])
        self.assertEqual(self.docker.requests, [])

    def test_reserved_name_never_goes_upstream(self):
        self.docker.publish("acme/app", "1", images.make_image([b"of somebody else"]))
        self.assertEqual(self.api.manifest("acme/app", "1").status, 404)
        self.assertEqual(self.docker.requests, [])

    def test_hosted_name_stays_ours_when_its_images_are_gone(self):
        digest = self.push("team/own")
        self.docker.publish("team/own", "1", images.make_image([b"of somebody else"]))
        check_status(self.api.delete_manifest("team/own", digest), 202)
        self.docker.forget()
        self.assertEqual(self.api.manifest("team/own", "1").status, 404)
        self.assertEqual(self.docker.requests, [])

    def test_one_component_can_be_pushed_and_shadows_nobody(self):
        digest = self.push("hello", "latest", b"our own hello")
        check_ok(self.api.manifest("hello", "latest"), digest)
        check_ok(self.api.manifest("library/hello", "latest"), self.image.digest)
        check_ok(Client(self.registry.port, ns="docker.io").manifest("library/hello", "latest"), self.image.digest)

    def test_hosted_and_cached_are_listed_apart(self):
        self.push("team/own")
        check_ok(self.api.manifest("library/hello", "latest"))
        self.registry.settle()
        self.assertEqual(self.api.catalog().json(), {"repositories": ["team/own"]})
        self.assertEqual(self.api.catalog("?ns=docker.io").json(), {"repositories": ["library/hello"]})


class UpstreamNameTest(NamesScenario):
    def settings(self):
        return {"names": ["registry.lab.example"]}

    def test_upstream_that_would_hide_images_is_refused_at_the_start(self):
        upstreams = self.registry.settings["upstreams"]
        added = upstreams.pop("example.org")
        self.restart()
        digest = self.push("example.org/app")
        upstreams["example.org"] = added
        self.registry.stop()
        with self.assertRaises(AssertionError) as caught:
            self.registry.start(seconds=20)
        self.assertIn("the server ended with 1", str(caught.exception))
        self.assertIn("the upstream example.org would hide images", str(caught.exception))
        del upstreams["example.org"]
        self.restart()
        check_status(self.api.delete_manifest("example.org/app", digest), 202)
        upstreams["example.org"] = added
        self.restart()
        check_ok(self.api.manifest("example.org/team/app", "1"), self.other_image.digest)

    def restart(self):
        self.registry.stop()
        self.registry.start()
        self.api = self.client(self.registry)

    def test_hosted_name_may_not_begin_with_an_upstreams(self):
        for name, query in (("example.org/app", "?ns=registry.lab.example"), ("example.org", "")):
            answer = check_status(self.api.request("POST", f"/v2/{name}/blobs/uploads/{query}",
                                                   headers={"Content-Length": "0"}), 400)
            self.assertEqual(answer.code, "NAME_INVALID")
            self.assertIn("example.org", answer.body.decode())


class ShadowTest(NamesScenario):
    def settings(self):
        return {"hosted": {"protect": ["library/*"], "allow": ["library/ours"]}}

    def begin(self, name):
        return self.api.request("POST", f"/v2/{name}/blobs/uploads/", headers={"Content-Length": "0"})

    def test_protected_name_is_403_and_says_what_to_change(self):
        answer = check_status(self.begin("library/thing"), 403)
        self.assertEqual(answer.code, "DENIED")
        self.assertIn("hosted.allow", answer.body.decode())

    def test_allowed_name_is_not(self):
        self.push("library/ours")

    def test_name_of_a_cached_repository_is_403(self):
        self.docker.publish("team/theirs", "1", images.make_image([b"theirs"]))
        check_ok(self.api.manifest("team/theirs", "1"))
        self.registry.settle()
        self.assertEqual(check_status(self.begin("team/theirs"), 403).code, "DENIED")

    def test_cached_repositories_cannot_be_written(self):
        check_ok(self.api.manifest("library/hello", "latest"))
        self.registry.settle()
        check_status(self.begin("docker.io/library/hello"), 405)
        check_status(self.api.delete_manifest("docker.io/library/hello", "latest"), 405)
        check_status(self.api.delete_manifest("library/hello", "latest"), 405)
        check_status(self.api.push_manifest("example.org/team/app", "9", self.other_image.top), 405)


class MirrorListenerTest(NamesScenario):
    def setUp(self):
        self.docker = self.hub()
        self.image = self.docker.publish("library/hello", "latest", images.make_image([b"of docker.io"]))
        listens = ["127.0.0.1:0", {"address": "127.0.0.1:0", "role": "mirror"}]
        self.registry = self.server(self.docker, listens=listens)
        self.api = self.client(self.registry)

    def test_mirror_listener_is_read_only_and_knows_no_hosted_names(self):
        mirror = Client(self.registry.listens[1])
        digest = self.push("team/own")
        check_ok(self.api.manifest("team/own", "1"), digest)
        self.assertEqual(mirror.manifest("team/own", "1").status, 404)
        check_ok(mirror.manifest("library/hello", "latest"), self.image.digest)
        answer = mirror.request("POST", "/v2/team/own/blobs/uploads/", headers={"Content-Length": "0"})
        check_status(answer, 405)
        check_status(mirror.delete_manifest("team/own", "1"), 405)


if __name__ == "__main__":
    unittest.main()
