# SPDX-License-Identifier: Apache-2.0
"""A disk that pushes have filled: one that does not fit takes nothing from the others, and deletes work."""

import os
import subprocess
import unittest

from support import images
from support.case import Scenario
from support.client import check_status
from support.waiting import need

MIB = 1024 * 1024
DISK = 64 * MIB


class FullDiskTest(Scenario):
    def setUp(self):
        self.registry = self.server(start=False)
        os.makedirs(self.registry.data, exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(self.registry.data)]
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
        with open(os.path.join(self.registry.data, "foreign"), "wb", buffering=0) as out:
            try:
                while out.write(bytes(MIB)) == MIB:
                    pass
                while out.write(b"x"):
                    pass
            except OSError:
                pass
        for number in range(200):
            check_status(self.api.request("DELETE", f"/v2/team/app/manifests/t{number}"), 202)


if __name__ == "__main__":
    unittest.main()
