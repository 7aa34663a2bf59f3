# SPDX-License-Identifier: Apache-2.0
"""Space that is freed while the server runs: what was deleted, what nobody named, what a crash has left; and folders
of older programs."""

import os
import tarfile

from support import images
from support.case import Scenario
from support.client import check_ok, check_status
from support.images import sha256
from support.server import Folder
from support.waiting import wait_until

MIB = 1024 * 1024
GRACE = 1  # seconds
FOLDERS = os.path.join(os.path.dirname(__file__), "folders")


def blob_files(registry):
    """{digest: path} of all files below blobs/."""
    found = {}
    for folder, _, names in os.walk(f"{registry.data}/blobs"):
        algorithm = os.path.relpath(folder, f"{registry.data}/blobs").split("/")[0]
        found.update({f"{algorithm}:{name}": f"{folder}/{name}" for name in names})
    return found


def size_on_disk(path):
    """A file that goes in this moment takes nothing."""
    try:
        return os.stat(path).st_blocks * 512
    except FileNotFoundError:
        return 0


def used_bytes(registry):
    return sum(map(size_on_disk, blob_files(registry).values()))


class SpaceScenario(Scenario):
    def setUp(self):
        self.registry = self.server(settings={"storage": {"grace": f"{GRACE}s"}}, failpoints=[])
        self.api = self.client(self.registry)

    def wait_gone(self, *digests, seconds=2 * GRACE + 10):
        wait_until(lambda: not set(digests) & set(blob_files(self.registry)), seconds,
                   lambda: f"free: {set(digests) & set(blob_files(self.registry))}\n{self.registry.log.tail()}")

    def is_here(self, digest):
        return digest in blob_files(self.registry)


class CollectTest(SpaceScenario):
    def test_a_deleted_image_gives_its_space_back(self):
        layers = [images.random_bytes(20 * MIB, seed) for seed in (1, 2)]
        image = images.make_image(layers)
        kept = images.make_image([images.random_bytes(MIB, 3)])
        self.api.push("team/app", "1", image)
        self.api.push("team/app", "kept", kept)
        before = used_bytes(self.registry)
        check_status(self.api.delete_manifest("team/app", image.digest), 202)
        self.api.push("team/app", "1", image)  # in between
        check_ok(self.api.manifest("team/app", "1"), image.digest)
        check_status(self.api.delete_manifest("team/app", image.digest), 202)
        self.wait_gone(image.digest, *image.blobs)
        self.assertLessEqual(used_bytes(self.registry), before - 40 * MIB)
        self.assertEqual(set(blob_files(self.registry)), {kept.digest, *kept.blobs})
        for digest in kept.blobs:
            check_ok(self.api.blob("team/app", digest), digest)
        self.api.push("team/app", "1", image)
        for digest in image.blobs:
            check_ok(self.api.blob("team/app", digest), digest)
        self.assertGreaterEqual(self.registry.metric("collected_bytes_total"), 40 * MIB)

    def test_an_index_goes_with_all_that_is_there_for_it(self):
        index = images.make_image([images.random_bytes(MIB, 7)], platforms=["amd64", "arm64"], oci=True)
        self.api.push("team/app", "1", index)
        child = next(manifest for manifest in index.manifests if manifest.digest != index.digest)
        signature = images.make_artifact(child, "application/x.signature", b"signed")
        self.api.push("team/app", signature.digest, signature)
        refused = self.api.delete_manifest("team/app", child.digest)
        self.assertEqual((refused.status, refused.code), (405, "UNSUPPORTED"))
        self.assertIn(index.digest, str(refused.body))
        check_status(self.api.delete_manifest("team/app", index.digest), 202)
        for manifest in [*index.manifests, signature.top]:
            check_status(self.api.manifest("team/app", manifest.digest), 404)
        check_status(self.api.delete_manifest("team/app", index.digest), 404)
        self.wait_gone(signature.digest, *index.blobs, *(manifest.digest for manifest in index.manifests))
        self.assertEqual(blob_files(self.registry), {})

    def test_a_reader_that_has_begun_gets_all_of_it(self):
        layer = images.random_bytes(8 * MIB, 4)
        image = images.make_image([layer])
        digest = sha256(layer)
        self.api.push("team/app", "1", image)
        deleted = []

        def progress(_):
            if not deleted:
                deleted.append(check_status(self.api.delete_manifest("team/app", image.digest), 202))
                self.wait_gone(digest)

        check_ok(self.api.blob("team/app", digest, progress=progress), digest)
        self.assertTrue(deleted)

    def test_a_blob_that_a_pusher_was_told_of_stays_for_its_manifest(self):
        """The client asks, then takes almost the whole grace to push the manifest."""
        image = images.make_image([images.random_bytes(1000, 5)])
        for digest in image.blobs:
            self.api.push_blob("team/app", image.blobs[digest])
        for _ in range(3 * GRACE * 4):  # longer than anything is kept that nobody asks for
            for digest in image.blobs:
                check_status(self.api.blob("team/app", digest, "HEAD"), 200)
            self.pause(GRACE / 4)
        self.api.push_manifest("team/app", "1", image.top)
        check_ok(self.api.manifest("team/app", "1"), image.digest)

    def pause(self, seconds):
        """Time itself is what is tested: nothing else says that a quarter of the grace is over."""
        end = self.now() + seconds
        wait_until(lambda: self.now() >= end, seconds + 5, "time")

    @staticmethod
    def now():
        with open("/proc/uptime", encoding="ascii") as source:
            return float(source.read().split()[0])

    def test_a_link_goes_where_nothing_names_it_and_the_blob_stays(self):
        layer = images.random_bytes(1000, 6)
        image = images.make_image([layer])
        self.api.push("team/app", "1", image)
        self.api.push("team/copy", "1", image)
        check_status(self.api.delete_manifest("team/app", image.digest), 202)
        wait_until(lambda: self.api.blob("team/app", sha256(layer)).status == 404, 2 * GRACE + 10, "the link is gone")
        check_ok(self.api.blob("team/copy", sha256(layer)), sha256(layer))
        self.assertEqual([line.text for line in self.registry.log.lines() if "damaged" in line.text], [])

    def test_what_a_crash_has_left_goes_too(self):
        """The keeper dies after its commit, before the file is removed."""
        blob = b"pushed and never named"
        self.registry.arm("chores.remove=exit:0:1")
        self.api.push_blob("team/app", blob)
        keeper = self.registry.pid("keeper", 0)
        wait_until(lambda: self.registry.pid("keeper", 0) != keeper, 2 * GRACE + 15, "another keeper")
        self.registry.arm()
        self.assertEqual(self.api.blob("team/app", sha256(blob)).status, 404)
        self.wait_gone(sha256(blob), seconds=30)
        self.assertTrue(self.registry.log.find(count="1"))

    def test_what_is_not_ours_stays(self):
        self.api.push("team/app", "1", images.make_image([b"layer"]))
        folder = f"{self.registry.data}/blobs/sha256/ab"
        os.makedirs(folder, exist_ok=True)
        for name in ("notes.txt", "ab" + 62 * "0" + ".damaged-00000001"):
            with open(f"{folder}/{name}", "wb") as out:
                out.write(b"somebody's")
        stranger = f"{folder}/ab{62 * '1'}"
        with open(stranger, "wb") as out:
            out.write(b"no record names it")
        wait_until(lambda: not os.path.exists(stranger), 30, "removed")
        self.assertTrue(os.path.exists(f"{folder}/notes.txt"))
        self.assertTrue(os.path.exists(f"{folder}/ab{62 * '0'}.damaged-00000001"))


class OlderFolderTest(Scenario):
    ONE = "sha256:14810fa7bb71a716fb35262b7c852bdbe0090a857ea107c98b259900c2183d44"
    TWO = "sha256:64b8b804c8091ef6212f7c179052b182d77a9f25a3bd1298dca16a19760e14d4"
    NEVER_NAMED = "sha256:d079014229a352ddef5fad2c580243e7ff40f5b2c86935eace9b15fa40695cc4"

    def test_a_ledger_of_version_1(self):
        """team/app had 1 and also-1 (one image, also team/copy:1), 2 was deleted, and a blob was never named."""
        folder = Folder("older")
        self.addCleanup(folder.remove)
        with tarfile.open(f"{FOLDERS}/ledger-1.tar.xz") as archive:
            archive.extractall(folder.path)
        registry = self.server(folder=folder, settings={"storage": {"grace": f"{GRACE}s"}})
        api = self.client(registry)
        self.assertEqual(sorted(api.tags("team/app").json()["tags"]), ["1", "also-1"])
        one = check_ok(api.manifest("team/app", "1"), self.ONE)
        blobs = [entry["digest"] for entry in one.json()["layers"]] + [one.json()["config"]["digest"]]
        for digest in blobs:
            check_ok(api.blob("team/app", digest), digest)
        wait_until(lambda: not {self.TWO, self.NEVER_NAMED} & set(blob_files(registry)), 75,
                   "what nobody needs is found and goes")
        self.assertEqual(set(blob_files(registry)), {self.ONE, *blobs})
        check_status(api.delete_manifest("team/app", self.ONE), 202)
        self.assertEqual(api.tags("team/app").json()["tags"], [])
        check_ok(api.manifest("team/copy", "1"), self.ONE)
        self.assertTrue([line for line in registry.log.lines() if "brought from version 1 to 3" in line.text])
