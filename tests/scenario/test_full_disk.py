# SPDX-License-Identifier: Apache-2.0
"""A disk that pushes have filled: one that does not fit takes nothing from the others, and deletes work."""

import os
import subprocess
import unittest

from support import images
from support.case import Scenario
from support.client import Client, check_status
from support.waiting import need, wait_until

MIB = 1024 * 1024
DISK = 64 * MIB


class FullDiskTest(Scenario):
    def setUp(self):
        self.registry = self.server(start=False)
        os.makedirs(self.registry.data, exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},nr_inodes=2000", "tmpfs", str(self.registry.data)]
        done = subprocess.run(mount, check=False, stderr=subprocess.DEVNULL)
        need(done.returncode == 0, "a mount of tmpfs")
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(self.registry.data)], check=False)
        self.api = self.client(self.registry.start())

    def send(self, size):
        location = self.api.begin_upload("team/app")
        return location, self.api.request("PATCH", location, body=os.urandom(size)).status

    def test_push_that_does_not_fit_leaves_nothing(self):
        location, status = self.send(DISK)
        self.assertEqual(status, 507)
        self.assertEqual(self.api.request("GET", location).status, 404)
        self.assertEqual(os.listdir(os.path.join(self.registry.data, "uploads")), [])
        self.api.push("team/app", "1", images.make_image([b"layer"]))

    def test_uploads_left_alone_go_first(self):
        left = [self.send(20 * MIB)[0] for _ in range(2)]
        self.assertEqual(self.send(30 * MIB)[1], 202)
        self.assertEqual(self.api.request("GET", left[0]).status, 404)
        self.registry.stop()
        self.registry.start()
        self.api = self.client(self.registry)
        self.assertEqual(self.send(30 * MIB)[1], 202)

    def test_deletes_need_no_room(self):
        image = images.make_image([b"layer"])
        for number in range(200):
            self.api.push("team/app", f"t{number}", image)
        self.fill()
        for number in range(200):
            check_status(self.api.request("DELETE", f"/v2/team/app/manifests/t{number}"), 202)

    def fill(self):
        with open(os.path.join(self.registry.data, "foreign"), "wb", buffering=0) as out:
            try:
                while out.write(bytes(MIB)) == MIB:
                    pass
                while out.write(b"x"):
                    pass
            except OSError:
                pass

    def ready(self, query=""):
        answer = Client(self.registry.admin).request("GET", f"/readyz{query}")
        return answer.status, answer.body.decode()

    def test_a_disk_without_inodes_is_full(self):
        image = images.make_image([images.random_bytes(1000, 1)])
        self.api.push("team/app", "1", image)
        folder = os.path.join(self.registry.data, "foreign")
        os.mkdir(folder)
        with self.assertRaises(OSError):
            for number in range(2000):
                with open(os.path.join(folder, str(number)), "wb"):
                    pass
        self.assertRegex(self.ready()[1], "^ok, but the registry's disk is full: none of its 2000 inodes is free; pushes are refused")
        answer = self.api.request("POST", "/v2/team/app/blobs/uploads/")
        self.assertEqual(answer.status, 507, answer)
        self.assertIn("none of its 2000 inodes is free", answer.json()["errors"][0]["message"])
        check_status(self.api.delete_manifest("team/app", image.digest), 202)
        for number in range(100):
            os.unlink(os.path.join(folder, str(number)))
        self.assertEqual(self.ready("?pushes"), (200, "ok\n"))
        self.api.push("team/app", "1", image)

    def test_it_is_said_and_over_by_itself(self):
        image = images.make_image([images.random_bytes(MIB, 1)])
        self.api.push("team/app", "1", image)
        self.assertEqual(self.ready("?pushes"), (200, "ok\n"))
        self.fill()
        status, text = self.ready()
        self.assertEqual(status, 200)
        self.assertRegex(text, r"^ok, but the registry's disk is full: \d+ KiB of 64 MiB are free; pushes are refused\n$")
        self.assertEqual(self.ready("?pushes")[0], 503)
        wait_until(lambda: self.registry.metric("disk_full") == 1, 10, "the metric")
        said = [line for line in self.registry.log.lines() if "pushes are refused until there is room" in line.text]
        self.assertEqual(len(said), 1)
        answer = self.api.request("PATCH", self.api.begin_upload("team/app"), body=os.urandom(MIB))
        self.assertEqual(answer.status, 507)
        self.assertIn("delete images, or other files there, or make the disk larger", answer.json()["errors"][0]["message"])
        self.assertEqual(self.api.pull("team/app", "1").keys(), {image.digest, *image.blobs})  # hits go on
        os.unlink(os.path.join(self.registry.data, "foreign"))
        self.assertEqual(self.ready("?pushes"), (200, "ok\n"))
        self.registry.log.wait(lambda line: "has room again" in line.text, 10, "the end is said")
        self.api.push("team/app", "2", image)
        wait_until(lambda: self.registry.metric("disk_full") == 0, 10, "the metric")


if __name__ == "__main__":
    unittest.main()
