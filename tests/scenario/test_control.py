# SPDX-License-Identifier: Apache-2.0
"""The administrator's socket: who may use it, who serves it and for how long, and what each address answers."""

import grp
import os
import shutil
import stat

from support import images
from support.case import Scenario
from support.client import check_status, request
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


