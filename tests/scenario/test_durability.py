# SPDX-License-Identifier: Apache-2.0
"""Few kills and power cuts, each time with the question whether all that was acknowledged is there. tests/durability has many."""

import os
import shutil
import subprocess
import tempfile

from support.case import Scenario
from support.durability import Disk, Trial
from support.waiting import need_root

KILLS = 8
CUTS = 3


def can_mount():
    """This machine has loop devices, and lets us mount them."""
    folder = tempfile.mkdtemp()
    try:
        disk = Disk(folder, "ext4")
        disk.unmount()
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return True


class DurabilityTest(Scenario):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder, True)

    def run_trial(self, server, fault, count):
        trial = Trial(server, self.folder, seed=os.getpid())
        trial.begin()
        try:
            for _ in range(count):
                fault(trial)
        finally:
            trial.end()
        self.assertEqual(trial.trouble, [])
        self.assertEqual(trial.faults, count)

    def test_kills(self):
        server = self.server(settings={"storage": {"grace": "1s"}, "log": {"level": "info"}})
        self.run_trial(server, lambda trial: trial.kill(), KILLS)

    def test_power_cuts(self):
        need_root()
        if not can_mount():
            self.skipTest("this machine mounts no loop devices")
        disk = Disk(self.folder, "ext4")
        server = self.server(settings={"storage": {"path": f"{disk.path}/data", "grace": "1s"}}, start=False)
        server.data = f"{disk.path}/data"
        self.addCleanup(disk.unmount)
        self.addCleanup(server.end)
        server.start()
        self.run_trial(server, lambda trial: trial.cut(disk), CUTS)
