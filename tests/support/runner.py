# SPDX-License-Identifier: Apache-2.0
"""unittest for ctest: `python3 -m support.runner scenario.test_api`. Nothing leaves the machine (support.network); each
skipped test is noted (support.skips), and a module of which nothing ran is a skipped test, not a passed one."""

import sys
import unittest

from . import network, skips


class Result(unittest.TextTestResult):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.ran = set()

    def startTest(self, test):
        super().startTest(test)
        self.ran.add(test.id())

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.ran.discard(test.id())
        skips.note(test.id(), reason)


class Runner(unittest.TextTestRunner):
    resultclass = Result


def main(arguments):
    """The status for ctest."""
    network.seal()
    result = unittest.main(module=None, argv=["unittest", "-v", *arguments], testRunner=Runner, exit=False).result
    if not result.wasSuccessful():
        return 1
    if not result.ran:
        return skips.SKIPPED if result.skipped else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
