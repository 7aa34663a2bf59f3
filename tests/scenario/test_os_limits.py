# SPDX-License-Identifier: Apache-2.0
"""Limits of the operating system: the server does with less, or says which limit it is and how to raise it."""

import resource
import subprocess
import unittest

from support import images
from support.case import Scenario
from support.client import check_ok
from support.server import binary, environment, is_sanitized, set_limits
from support.waiting import Folder

MIB = 1 << 20


class OsLimitsTest(Scenario):
    def refusal(self, limits):
        """What a start says that is refused."""
        folder = Folder("limits")
        self.addCleanup(folder.remove)
        done = subprocess.run([binary(), "serve", "--data", folder / "data", "--listen", "127.0.0.1:0"],
                              preexec_fn=lambda: set_limits(limits), env=environment(), capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        return done.stderr

    def test_too_few_open_files_are_said(self):
        text = self.refusal({resource.RLIMIT_NOFILE: 63})
        self.assertIn("only 63 open files, and 64 are needed: raise the limit (ulimit -n", text)

    def test_too_small_files_are_said(self):
        text = self.refusal({resource.RLIMIT_FSIZE: MIB})
        self.assertIn("only 1048576 bytes, and 67108864 are needed: raise the limit (ulimit -f", text)

    def test_blob_larger_than_a_file_may_be_is_refused_and_nobody_dies(self):
        registry = self.server(limits={resource.RLIMIT_FSIZE: 64 * MIB})
        self.assertTrue([line for line in registry.log.lines() if "ulimit -f" in line.text])
        before = {child.pid for child in registry.children()}
        api = self.client(registry)
        large = api.finish_upload(api.begin_upload("team/app"), *self.blob(65 * MIB))
        self.assertEqual(large.status, 413, large)
        content = images.random_bytes(100_000, 2)
        digest = api.push_blob("team/app", content)
        check_ok(api.blob("team/app", digest), digest)
        self.assertEqual({child.pid for child in registry.children()}, before)

    @staticmethod
    def blob(size):
        content = images.random_bytes(size, 1)
        return images.sha256(content), content

    @unittest.skipIf(is_sanitized(), "AddressSanitizer needs terabytes of address space")
    def test_ledger_works_in_little_address_space(self):
        registry = self.server(limits={resource.RLIMIT_AS: 96 * MIB})
        api = self.client(registry)
        before = {child.pid for child in registry.children()}
        digest = api.push_blob("team/app", images.random_bytes(8 * MIB, 3))
        check_ok(api.blob("team/app", digest), digest)
        self.assertEqual({child.pid for child in registry.children()}, before)


if __name__ == "__main__":
    unittest.main()
