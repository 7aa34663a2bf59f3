# SPDX-License-Identifier: Apache-2.0
"""The administrator's socket: who may use it, who serves it and for how long, and what each address answers."""

import grp
import os
import shutil
import stat

from scenario.test_space import blob_files, used_bytes
from support import images
from support.case import Scenario
from support.client import check_ok, check_status, request
from support.control import Control
from support.server import Folder
from support.waiting import need_root


def image_size(image):
    return sum(len(manifest.content) for manifest in image.manifests) + sum(map(len, image.blobs.values()))


class SocketTest(Scenario):
    def test_nobody_serves_it_before_somebody_connects(self):
        server = self.server()
        self.assertEqual(server.children("steward"), [])
        self.assertEqual(Control(server).get("status")["version"], "0.1.0")
        self.assertEqual(len(server.children("steward")), 1)

    def test_it_is_the_users_alone(self):
        server = self.server()
        mode = os.stat(f"{server.data}/control.sock").st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)

    def test_mode_and_group_can_be_set(self):
        need_root()
        folder = self.folder()
        path = f"{folder}/admin.sock"
        group = grp.getgrgid(os.getgid()).gr_name
        server = self.server(settings={"control": {"address": path, "mode": "0660", "group": group}})
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o660)
        self.assertEqual(Control(server, path).get("repositories"), {"repositories": []})
        self.assertFalse(os.path.exists(f"{server.data}/control.sock"))

    def folder(self):
        folder = Folder("control").path
        self.addCleanup(shutil.rmtree, folder)
        return folder

    def test_none_makes_no_socket(self):
        server = self.server(settings={"control": {"address": "none"}})
        self.assertFalse(os.path.exists(f"{server.data}/control.sock"))
        ready, = [line for line in server.log.lines() if line.text.endswith('"ready"')]
        self.assertEqual(ready["control"], "none")

    def test_a_steward_that_is_killed_is_started_again(self):
        server = self.server()
        control = Control(server)
        control.get("status")
        pid = server.kill("steward")
        server.log.wait(lambda line: line.get("pid") == str(pid) and "process died" in line.text, 10, "its death")
        self.assertEqual(control.get("status")["storage"]["path"], server.data)

    def test_an_idle_steward_ends(self):
        server = self.server(settings={"log": {"level": "debug"}})
        control = Control(server)
        control.get("status")
        server.log.wait(lambda line: line.get("process") == "steward" and "process ended" in line.text, 60, "its end")
        self.assertEqual(server.children("steward"), [])
        control.get("status")  # and another one comes

    def test_it_ends_with_the_server(self):
        server = self.server()
        Control(server).get("status")
        server.stop()
        with self.assertRaises(ConnectionRefusedError):
            Control(server).get("status")
        server.start()
        Control(server).get("status")

    def test_a_folder_with_a_long_name_has_no_socket(self):
        folder = self.folder()
        deep = f"{folder}/{'d' * 100}"
        os.makedirs(deep)
        server = self.server(settings={"storage": {"path": deep}}, start=False)
        server.data = deep
        server.start()
        warning, = [line for line in server.log.lines() if "control.address" in line.text]
        self.assertIn("is longer than the 107 bytes that a socket's may have; set control.address to a shorter one",
                      warning.text)

    def test_another_file_in_its_place_is_left_and_said(self):
        server = self.server(start=False)
        os.makedirs(server.data, exist_ok=True)
        path = f"{self.folder()}/here"
        with open(path, "w", encoding="utf-8") as out:
            out.write("mine")
        server.settings["control"] = {"address": path}
        server.start()
        line, = [line for line in server.log.lines() if "control.address" in line.text]
        self.assertIn("another server serves", line.text)
        with open(path, encoding="utf-8") as source:
            self.assertEqual(source.read(), "mine")
        os.unlink(path)
        server.log.wait(lambda line: "control.address: listening on" in line.text, 20, "the socket")
        Control(server, path).get("status")


class AddressTest(Scenario):
    def setUp(self):
        self.registry = self.server()
        self.control = Control(self.registry)

    def test_clients_cannot_reach_it(self):
        for port in (self.registry.port, self.registry.admin):
            check_status(request(port, "GET", "/api/v1/status"), 404)

    def test_images_cannot_be_had_through_it(self):
        status, _ = self.control.request("GET", "../../v2/")
        self.assertEqual(status, 404)

    def test_what_is_wrong_is_said(self):
        for address, expected in (
                ("status?x=1", "this address has no parameter x, and no other"),
                ("images?x=1", "this address has no parameter x; there are match, after, limit"),
                ("images?limit=0", "limit= must be a number from 1 to 1000"),
                ("images?limit=1001", "limit= must be a number from 1 to 1000"),
                ("images?limit=1&limit=2", "limit= appears twice"),
                ("images?match=%00", "match=: a bad percent escape at 0")):
            with self.subTest(address):
                self.assertEqual(self.control.message("GET", address, 400), expected)
        self.assertIn("/api/v1/status", self.control.message("GET", "nothing", 404))
        self.assertEqual(self.control.message("DELETE", "status", 405), "this address has GET, HEAD only")

    def test_status(self):
        found = self.control.get("status")
        space = os.statvfs(self.registry.data)
        self.assertEqual(set(found), {"version", "now", "processes", "storage", "commits", "since_start", "connections"})
        self.assertEqual(found["processes"], [{"role": "keeper", "answers": True}, {"role": "fetcher", "answers": True}])
        self.assertEqual(found["storage"]["total_bytes"], space.f_blocks * space.f_frsize)
        self.assertEqual(found["storage"]["grace_seconds"], 3600)
        self.assertRegex(found["now"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_lists(self):
        api = self.client(self.registry)
        image = images.make_image([images.random_bytes(1000, 1)])
        other = images.make_image([images.random_bytes(2000, 2)])
        for name in ("team/app", "team/base", "x"):
            for tag in ("1", "2"):
                api.push(name, tag, image)
        api.push("x", "2", other)
        size = image_size(image)
        self.assertEqual(self.control.get("repositories?match=team/*"), {"repositories": [
            {"name": name, "origin": "", "hosted": True, "bytes": size, "links": 3}
            for name in ("team/app", "team/base")]})
        listed = self.control.get("images")["images"]
        self.assertEqual([(entry["repository"], entry["tag"]) for entry in listed],
                         [(name, tag) for name in ("team/app", "team/base", "x") for tag in ("1", "2")])
        self.assertEqual({key: value for key, value in listed[0].items() if key not in ("changed", "last_used")},
                         {"repository": "team/app", "origin": "", "tag": "1", "digest": image.digest,
                          "media_type": image.top.media_type, "bytes": size})
        self.assertEqual(self.control.pages("images?limit=1", "images"), listed)
        self.assertEqual(self.control.pages("repositories?limit=2", "repositories"),
                         self.control.get("repositories")["repositories"])

    def test_an_image_without_a_tag_is_listed_by_its_digest(self):
        api = self.client(self.registry)
        first = images.make_image([images.random_bytes(1000, 1)])
        second = images.make_image([images.random_bytes(1000, 2)])
        api.push("app", "1", first)
        api.push("app", "1", second)
        expected = [("1", second.digest), (None, first.digest)]
        self.assertEqual([(entry.get("tag"), entry["digest"]) for entry in self.control.get("images")["images"]], expected)
        self.assertEqual([(entry.get("tag"), entry["digest"])
                          for entry in self.control.pages("images?limit=1", "images")], expected)




class RemovalTest(Scenario):
    def setUp(self):
        self.registry = self.server(settings={"storage": {"grace": "1h"}})
        self.control = Control(self.registry)
        self.api = self.client(self.registry)

    def remove(self, *names, **flags):
        status, answer = self.control.request("POST", "removals", {"images": list(names), **flags})
        self.assertEqual(status, 200, answer)
        return answer

    def push(self, name, tag, seed, size=1000):
        image = images.make_image([images.random_bytes(size, seed)])
        self.api.push(name, tag, image)
        return image

    def tags(self, name):
        return self.api.tags(name).json()["tags"]

    def test_now_frees_the_space_before_the_answer(self):
        image = self.push("team/app", "1", 1, 40 * 1024 * 1024)
        kept = self.push("team/app", "2", 2)
        before = used_bytes(self.registry)
        answer = self.remove("team/app:1", now=True)
        self.assertEqual(answer, {
            "dry_run": False, "removed": [{"repository": "team/app", "origin": "", "tag": "1", "digest": image.digest}],
            "kept": [], "manifests": 1, "blobs": 3, "bytes": image_size(image), "more": False})
        self.assertEqual(set(blob_files(self.registry)), {kept.digest, *kept.blobs})
        self.assertLessEqual(used_bytes(self.registry), before - 40 * 1024 * 1024)
        self.push("team/app", "1", 1, 40 * 1024 * 1024)
        check_ok(self.api.manifest("team/app", "1"), image.digest)

    def test_a_dry_run_changes_nothing(self):
        image = self.push("app", "1", 1)
        self.push("copy", "1", 1)
        answer = self.remove("app:*", dry_run=True)
        self.assertEqual((answer["manifests"], answer["bytes"]), (1, 0))  # the other repository needs the same
        answer = self.remove("app:*", "copy:*", dry_run=True)
        self.assertEqual((answer["manifests"], answer["blobs"], answer["bytes"]), (2, 3, image_size(image)))
        self.assertEqual(self.tags("app"), ["1"])

    def test_patterns_and_tags_that_stay(self):
        for tag in ("pr-1", "pr-2", "latest"):
            self.push("team/app", tag, 1)
        self.push("team/app", "pr-3", 2)
        answer = self.remove("team/app:pr-*")
        self.assertEqual([entry["tag"] for entry in answer["removed"]], ["pr-1", "pr-2", "pr-3"])
        self.assertEqual(answer["manifests"], 1)
        self.assertEqual(self.tags("team/app"), ["latest"])

    def test_untagged_images_and_whole_repositories(self):
        first = self.push("app", "1", 1)
        self.push("app", "1", 2)
        self.push("other", "1", 3)
        answer = self.remove("app", untagged=True)
        self.assertEqual([entry["digest"] for entry in answer["removed"]], [first.digest])
        answer = self.remove("app", repository=True, now=True)
        self.assertEqual(self.tags("app"), [])
        self.assertEqual([entry["repository"] for entry in self.control.get("images")["images"]], ["other"])

    def test_signatures_of_tagged_images_are_not_untagged(self):
        image = self.push("app", "1", 1)
        signature = images.make_artifact(image.top, "application/vnd.example.signature", b"signed")
        self.api.push("app", signature.digest, signature)
        self.assertEqual(self.remove("app", untagged=True)["removed"], [])
        check_ok(self.api.manifest("app", signature.digest), signature.digest)
        self.assertEqual(len(self.control.get("images")["images"]), 1)
        answer = self.remove("app", repository=True)
        self.assertEqual((len(answer["removed"]), answer["kept"], answer["manifests"]), (1, [], 2))

    def test_a_name_is_given_back(self):
        self.push("team/app", "1", 1)
        kept = self.remove("team/app", release=True)["kept"]
        self.assertEqual(kept[0]["message"], "the repository has images; remove them first")
        self.remove("team/app", repository=True)
        self.assertEqual(self.remove("team/app", release=True)["removed"],
                         [{"repository": "team/app", "origin": "", "released": True}])
        self.assertFalse(self.control.get("repositories")["repositories"][0]["hosted"])

    def test_children_of_an_index_go_with_it_or_stay(self):
        index = images.make_image([images.random_bytes(100, 1)], platforms=["amd64", "arm64"])
        self.api.push("app", "1", index)
        self.api.push("kept", "1", index)
        self.assertEqual(self.remove("app:1")["manifests"], 3)
        self.assertEqual(self.remove("kept:1", keep_children=True)["manifests"], 1)
        listed = self.control.get("images")["images"]
        self.assertEqual({(entry["repository"], entry.get("tag")) for entry in listed}, {("kept", None)})
        self.assertEqual(len(listed), 2)

    def test_what_a_tagged_index_names_is_kept(self):
        index = images.make_image([images.random_bytes(100, 1)], platforms=["amd64", "arm64"])
        child = next(manifest for manifest in index.manifests if manifest is not index.top)
        self.api.push("app", "1", index)
        kept = self.remove(f"app@{child.digest}")["kept"]
        self.assertIn("which has a tag, names it", kept[0]["message"])

    def test_what_is_wrong_is_said(self):
        for body, expected in (
                ({"images": ["app"]}, "app: write REPOSITORY:TAG or REPOSITORY@DIGEST"),
                ({"images": ["app:1"], "repository": True}, "app:1: write REPOSITORY:TAG"),
                ({"images": ["app@sha256:1"]}, "app@sha256:1: "),
                ({"images": []}, '"images" is empty'),
                ({"images": "app"}, '"images" must be a list'),
                ({"images": ["app:1"], "now": 1}, '"now" must be true or false'),
                ({"images": ["app:1"], "later": True}, 'the body has an unknown member "later"'),
                ([], "the body must be a JSON object")):
            with self.subTest(body):
                self.assertIn(expected, self.control.message("POST", "removals", 400, body))

    def test_what_waits_is_counted(self):
        self.push("app", "1", 1)
        self.remove("app:1")
        status, answer = self.control.request("POST", "collections", {})
        self.assertEqual((status, answer["waiting"]["blobs"], answer["more"]), (200, 3, False))


class CachedTest(Scenario):
    def setUp(self):
        self.source = self.hub()
        self.registry = self.server(self.source, failpoints=[])
        self.control = Control(self.registry)
        self.api = self.client(self.registry, ns="docker.io")

    def pull(self, name, seed):
        image = images.make_image([images.random_bytes(1000, seed)])
        self.source.publish(f"library/{name}", "1", image)
        self.api.pull(f"library/{name}", "1")
        self.registry.settle()
        return image

    def test_a_cached_image_can_be_removed(self):
        self.pull("app", 1)
        status, answer = self.control.request("POST", "removals", {"images": ["docker.io/library/app:1"], "now": True})
        self.assertEqual((status, answer["manifests"]), (200, 1))
        self.assertEqual(blob_files(self.registry), {})
        self.pull("app", 1)

    def test_pins(self):
        for image in ("docker.io/library/app:1", "docker.io/library/other:1"):
            self.assertEqual(self.control.request("POST", "pins", {"images": [image]})[0], 200)
        self.assertEqual(self.control.request("PUT", "pins", {"set": "cluster", "images": ["docker.io/library/app:1"]}),
                         (200, {"set": "cluster", "images": 1}))
        self.control.request("POST", "pins", {"images": ["docker.io/library/other:1"], "remove": True})
        expected = [{"set": "cluster", "image": "docker.io/library/app:1"}, {"set": "default", "image": "docker.io/library/app:1"}]
        self.assertEqual(self.control.get("pins"), {"pins": expected})
        self.assertEqual(self.control.pages("pins?limit=1", "pins"), expected)
        self.control.request("PUT", "pins", {"set": "cluster", "images": []})
        self.assertEqual(self.control.get("pins"), {"pins": expected[1:]})
        self.assertIn("write the whole name", self.control.message("POST", "pins", 400, {"images": ["app"]}))

    def test_usage(self):
        image = self.pull("app", 1)
        self.client(self.registry).push("team/app", "1", image)
        other = self.pull("other", 2)
        size = image_size(image)
        self.assertEqual(self.control.get("usage"), {
            "total": {"blobs": 6, "bytes": size + image_size(other), "cached_bytes": image_size(other), "spool_bytes": 0},
            "usage": [{"origin": "", "repositories": 1, "bytes": size},
                      {"origin": "docker.io", "repositories": 2, "bytes": size + image_size(other)}]})
        self.assertEqual(self.control.get("usage?by=repository&match=docker.io/**")["usage"], [
            {"name": "library/app", "origin": "docker.io", "bytes": size, "own_bytes": 0},
            {"name": "library/other", "origin": "docker.io", "bytes": image_size(other), "own_bytes": image_size(other)}])
        following = self.control.get("usage?by=next")["usage"]
        self.assertEqual([entry["digest"] for entry in following], [image.digest, other.digest])
        self.assertEqual(following[1]["repositories"], [{"name": "library/other", "origin": "docker.io"}])
        self.assertIn("by= must be", self.control.message("GET", "usage?by=x", 400))
