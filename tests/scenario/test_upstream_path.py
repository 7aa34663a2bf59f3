# SPDX-License-Identifier: Apache-2.0
"""Upstreams in a path: a project's name before every repository, or the whole API below a path."""

from urllib.parse import parse_qs, urlsplit

from support import images
from support.case import Scenario
from support.client import check_ok, check_status


class PathScenario(Scenario):
    def upstream(self, hub, path, **extra):
        return {"url": hub.url + path, "ca_file": hub.ca_file, "tags": [{"match": "*", "ttl": "1h"}], **extra}

    @staticmethod
    def scopes(hub):
        return {scope for request in hub.asked(kind="token")
                for scope in parse_qs(urlsplit(request.target).query).get("scope", [])}

    def publish(self, hub, name, tag="1", content=b"layer"):
        return hub.publish(name, tag, images.make_image([content]))


class ProjectTest(PathScenario):
    """A proxy project of Docker Hub: https://host/hub."""

    def setUp(self):
        self.far = self.hub()
        self.image = self.publish(self.far, "hub/library/hello", "latest", images.random_bytes(200_000, 3))
        self.registry = self.server(upstreams={"docker.io": self.upstream(self.far, "/hub/", default=True)},
                                    settings={"fetch": {"negative_ttl": "0s"}})
        self.api = self.client(self.registry)

    def test_the_project_stands_before_repository_and_scope(self):
        for client, name in ((self.api, "hello"), (self.client(self.registry, ns="docker.io"), "library/hello"),
                             (self.client(self.registry, prefix="docker.io/"), "hello")):
            client.pull(name, "latest")
        asked = [request for request in self.far.asked() if request.host == "registry"]
        self.assertEqual({request.name for request in asked}, {"hub/library/hello"}, self.far.story())
        self.assertEqual(self.far.pulls, 1)
        self.assertEqual(self.scopes(self.far), {"repository:hub/library/hello:pull"})
        self.registry.settle()
        self.far.down()
        self.api.pull("library/hello", "latest")

    def test_lists_do_not_name_it(self):
        for number in range(4):
            self.publish(self.far, "hub/library/hello", f"v{number}", b"%d" % number)
            self.far.publish("hub/library/hello", None, images.make_artifact(self.image.top, "a/b", b"%d" % number))
        self.far.page = 3
        for by_token in (False, True):
            self.far.pages_by_token = by_token
            pages = self.api.pages("/v2/library/hello/tags/list?ns=docker.io")
            self.assertEqual([page.json() for page in pages],
                             [{"name": "library/hello", "tags": tags} for tags in (["latest", "v0", "v1"], ["v2", "v3"])])
            self.assertNotIn("hub", pages[0].headers["link"])
        pages = self.api.pages(f"/v2/library/hello/referrers/{self.image.digest}")
        self.assertEqual([len(page.json()["manifests"]) for page in pages], [3, 1])
        self.assertEqual({request.name for request in self.far.asked() if request.host == "registry"},
                         {"hub/library/hello"})

    def test_refusals_say_what_was_asked(self):
        answer = check_status(self.api.manifest("library/absent", "1"), 404)
        self.assertEqual(answer.json()["errors"][0]["code"], "MANIFEST_UNKNOWN")
        self.far.fault(kind="manifest", status=500)
        answer = check_status(self.api.manifest("library/hello", "other"), 502)
        self.assertIn(f"{self.far.url}/v2/hub/library/hello/manifests/other", str(answer.json()))

    def test_a_push_is_asked_for_below_it(self):
        self.publish(self.far, "hub/org/app")
        refused = self.api.request("POST", "/v2/org/app/blobs/uploads/")
        check_status(refused, 403)
        check_status(self.api.request("POST", "/v2/org/free/blobs/uploads/"), 202)
        self.assertEqual({request.name for request in self.far.asked() if request.host == "registry"},
                         {"hub/org/app", "hub/org/free"})


class BaseTest(PathScenario):
    """The API below a path, as repository managers have it: https://host/artifactory/api/docker/Key/v2."""

    def test_pulls_lists_and_chains(self):
        far = self.hub()
        far.base = "/artifactory/api/docker/Key"
        image = self.publish(far, "sub/org/app")
        self.publish(far, "sub/org/app", "2")
        far.page = 1
        near = self.server(upstreams={"ghcr.io": self.upstream(far, far.base + "/v2/sub")})
        self.client(near, prefix="ghcr.io/").pull("org/app", "1")
        self.assertEqual(self.scopes(far), {"repository:sub/org/app:pull"})
        pages = self.client(near).pages("/v2/ghcr.io/org/app/tags/list")
        self.assertEqual([page.json()["tags"] for page in pages], [["1"], ["2"]])

        # Ours in front of ours: the next cache has the registry's name as its first component.
        chained = {"url": f"http://127.0.0.1:{near.port}/ghcr.io", "default": True}
        front = self.server(upstreams={"ghcr.io": chained})
        far.forget()
        got = self.client(front).pull("org/app", "1")
        self.assertIn(image.layers[0], got)
        self.assertEqual(far.count(kind="cdn"), 0, far.story())
        self.assertEqual(self.client(front, prefix="ghcr.io/").tags("org/app").json(),
                         {"name": "org/app", "tags": ["1"]})


class SameHostTest(PathScenario):
    def test_two_upstreams_of_one_host_share_nothing(self):
        far = self.hub()
        one = self.publish(far, "one/app", content=b"one")
        two = self.publish(far, "two/app", content=b"two")
        registry = self.server(upstreams={"one.example": self.upstream(far, "/one"),
                                          "two.example": self.upstream(far, "/v2/two/")})
        for name, image in (("one.example", one), ("two.example", two)):
            client = self.client(registry, prefix=name + "/")
            self.assertEqual(check_ok(client.manifest("app", "1"), image.digest).headers["docker-content-digest"],
                             image.digest)
            client.pull("app", "1")
        self.assertEqual(self.scopes(far), {"repository:one/app:pull", "repository:two/app:pull"})

    def test_the_next_address_has_a_prefix_of_its_own(self):
        far = self.hub()
        image = self.publish(far, "second/org/app")
        first = self.upstream(far, "/first")
        first["url"] = [far.url + "/first", far.url + "/second"]
        registry = self.server(upstreams={"ghcr.io": first})
        self.assertIn(image.layers[0], self.client(registry, prefix="ghcr.io/").pull("org/app", "1"))
        self.assertEqual(self.scopes(far), {"repository:first/org/app:pull", "repository:second/org/app:pull"})
