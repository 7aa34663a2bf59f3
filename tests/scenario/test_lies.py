# SPDX-License-Identifier: Apache-2.0
"""An upstream that lies: no client ever takes a wrong blob for a whole one, and the next pull is right."""

import unittest

from support import images
from support.case import Scenario
from support.client import Many, check_ok

KIB = 1 << 10
MIB = 1 << 20
SIZES = (0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB - 1, MIB, MIB + 1, 8 * MIB)
FOLLOWERS = 20
WORKERS = 3


def lies_about(size):
    """{what: faults}, for a blob of that size."""
    lies = {"long": [{"long": 1}], "longer": [{"long": 70_000}]}
    if size > 0:
        lies.update({
            "first byte": [{"flip_at": 0}],
            "middle byte": [{"flip_at": size // 2}],
            "last byte": [{"flip_at": -1}],
            "short": [{"short": 1}],
            "empty": [{"short": size}],
            "cut": [{"cut_after": size // 2}],
            "cut without a reset": [{"cut_after": size - 1, "cut": "fin"}],
            "wrong range": [{"cut_after": size // 2, "times": 1}, {"content_range": f"bytes 0-9/{size}"}],
            "wrong total": [{"cut_after": size // 2, "times": 1}, {"content_range": f"bytes 0-{size}/{size + 1}"}],
            "wrong after a cut": [{"cut_after": size // 2, "times": 1}, {"flip_at": -1}],
            "no length, first byte": [{"no_length": True, "flip_at": 0}],
            "chunked, last byte": [{"chunked": True, "flip_at": -1}],
        })
    return lies


class LiesTest(Scenario):
    def setUp(self):
        self.docker = self.hub()
        self.registry = self.server(self.docker, workers=WORKERS,
                                    settings={"fetch": {"retries": 2, "negative_ttl": "0s"}})
        self.api = self.client(self.registry)

    def pull_all(self, digest, size):
        """FOLLOWERS pulls at once; some ask for it all as a range."""
        many = Many()
        for number in range(FOLLOWERS):
            headers = {"Range": "bytes=0-"} if number % 5 == 4 and size else {}
            many.start(self.api.blob, "library/thing", digest, headers=headers, keep=False)
        return many

    def check_answers(self, answers, digest, what):
        for answer in answers:
            if answer.status in (200, 206) and answer.is_complete:
                self.assertEqual(answer.digest, digest, f"{what}: whole and wrong: {answer}")
            else:
                self.assertIn(answer.status, (0, 200, 206, 404, 502, 503, 504), f"{what}: {answer}")

    def lie(self, sizes, times=None):
        for size in sizes:
            cases = []
            for seed, (what, faults) in enumerate(lies_about(size).items()):
                content = images.random_bytes(size, (size << 8) + seed + (1 if times is None else 100))
                digest = self.docker.publish_blob("library/thing", content)
                if size == 0 and cases:
                    continue  # there is only one such blob
                orders = [dict({"times": times} if times else {}, **fault) for fault in faults]
                for order in orders:
                    self.docker.fault(kind="cdn", reference=digest, **order)
                cases.append((f"{what} of {size}", digest, self.pull_all(digest, size)))
            for what, digest, many in cases:
                self.check_answers(many.join(180), digest, what)
            self.docker.clear_faults()
            for what, digest, _ in cases:
                try:
                    check_ok(self.api.blob("library/thing", digest, keep=False), digest)
                except AssertionError as error:
                    raise AssertionError(f"the pull after {what}: {error}") from error

    def test_small(self):
        self.lie([size for size in SIZES if size < 64 * KIB])

    def test_around_64_kib(self):
        self.lie([64 * KIB, 64 * KIB + 1])

    def test_around_1_mib(self):
        self.lie([MIB - 1, MIB, MIB + 1])

    def test_8_mib(self):
        self.lie([8 * MIB])

    def test_lies_once_then_tells_the_truth(self):
        self.lie([1, 64 * KIB + 1, MIB + 1], times=1)

    def test_manifest_that_is_not_its_digest(self):
        image = self.docker.publish("library/thing", "1", images.make_image([b"layer"]))
        self.docker.fault(kind="manifest", reference=image.digest, flip_at=10)
        answer = self.api.manifest("library/thing", image.digest)
        self.assertIn(answer.status, (404, 502, 503), answer)
        self.docker.clear_faults()
        check_ok(self.api.manifest("library/thing", image.digest), image.digest)


if __name__ == "__main__":
    unittest.main()
