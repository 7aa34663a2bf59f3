# SPDX-License-Identifier: Apache-2.0
"""Files under blobs/ that are lost, of another size, or something else than a file: cached ones are brought again,
hosted ones are not here until they are pushed again."""

import os
import shutil
import socket
import stat
import unittest

from support import images
from support.case import Scenario
from support.client import Many, check_ok, check_status, path_of
from support.images import sha256
from support.waiting import wait_until


def shorten(path, size):
    os.truncate(path, size // 2)


def lengthen(path, _):
    with open(path, "ab") as out:
        out.write(b"more than there was")


def empty(path, _):
    os.truncate(path, 0)


def link(path, _):
    os.rename(path, path + ".elsewhere")
    os.symlink(path + ".elsewhere", path)


def lose(path, _):
    os.unlink(path)


def folder(path, _):
    os.unlink(path)
    os.mkdir(path)


def full_folder(path, _):
    os.unlink(path)
    os.mkdir(path)
    with open(path + "/inner", "wb") as out:
        out.write(b"somebody's")


def fifo(path, _):
    os.unlink(path)
    os.mkfifo(path)


def unix_socket(path, _):
    os.unlink(path)
    at = os.getcwd()
    os.chdir(os.path.dirname(path))  # the address has room for 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.basename(path))
    os.chdir(at)


def device(path, _):
    os.unlink(path)
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero: it has bytes for all who ask


def lose_folder(path, _):
    shutil.rmtree(os.path.dirname(path))


def file_for_folder(path, _):
    shutil.rmtree(os.path.dirname(path))
    with open(os.path.dirname(path), "wb") as out:
        out.write(b"no folder")


DAMAGES = [lose, shorten, lengthen, empty, link, folder, full_folder, fifo, unix_socket, lose_folder, file_for_folder]
if os.geteuid() == 0:
    DAMAGES.append(device)


class DamageScenario(Scenario):
    workers = 2

    def path_of_file(self, digest):
        algorithm, _, name = digest.partition(":")
        return f"{self.registry.data}/blobs/{algorithm}/{name[:2]}/{name}"

    def is_whole(self, digest, size):
        try:
            found = os.lstat(self.path_of_file(digest))
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == size

    def wait_stored(self, digest, times):
        """The keeper has said so: what asks from now on is not answered from the download."""
        def look():
            return sum('stored"' in line.text for line in self.registry.log.find(digest=digest)) >= times
        wait_until(look, 10, lambda: f"{digest} on disk {times} times\n{self.registry.log.tail()}")

    def errors(self):
        return [line.text for line in self.registry.log.lines() if " error " in line.text or "level=error" in line.text]


class CachedTest(DamageScenario):
    fetch = {"stall_timeout": "2s", "negative_ttl": "0s"}

    def setUp(self):
        self.docker = self.hub()
        self.layer = images.random_bytes(200_000, 1)
        self.image = images.make_image([self.layer], oci=True)
        self.docker.publish("library/app", "1", self.image)
        self.large = images.make_artifact(self.image.top, "application/x.text", b"text", {"pad": "x" * 100_000})
        self.docker.publish("library/app", "large", self.large)
        self.registry = self.server(self.docker, {"fetch": self.fetch}, workers=self.workers)
        self.api = self.client(self.registry, ns="docker.io")  # a bare name's HEAD may be a pusher's

    def get_many(self, digest):
        """From several workers at once."""
        many = Many()
        for _ in range(6):
            many.start(self.api.blob, "library/app", digest)
        for answer in many.join():
            check_ok(answer, digest)

    def test_a_blob_is_brought_again_with_one_download(self):
        digest = sha256(self.layer)
        check_ok(self.api.blob("library/app", digest), digest)
        for number, damage in enumerate(DAMAGES, 1):
            with self.subTest(damage.__name__):
                self.wait_stored(digest, number)
                damage(self.path_of_file(digest), len(self.layer))
                self.docker.forget()
                head = check_status(self.api.blob("library/app", digest, "HEAD"), 200)
                self.assertEqual(head.headers["content-length"], str(len(self.layer)))
                self.get_many(digest)
                self.assertEqual(self.docker.count(kind="cdn", method="GET", reference=digest), 1, self.docker.story())
                self.wait_stored(digest, number + 1)
                self.assertTrue(self.is_whole(digest, len(self.layer)))
                self.docker.forget()
                part = self.api.blob("library/app", digest, headers={"Range": "bytes=100-199"})
                self.assertEqual((part.status, part.body), (206, self.layer[100:200]))
                self.assertEqual(self.docker.requests, [])

    def test_a_range_of_a_damaged_blob_is_right(self):
        digest = sha256(self.layer)
        check_ok(self.api.blob("library/app", digest), digest)
        self.wait_stored(digest, 1)
        shorten(self.path_of_file(digest), len(self.layer))
        part = self.api.blob("library/app", digest, headers={"Range": "bytes=150000-150099"})
        self.assertEqual((part.status, part.body), (206, self.layer[150_000:150_100]))

    def test_a_large_manifest_is_brought_again_by_digest_and_by_tag(self):
        digest, size = self.large.digest, len(self.large.top.content)
        number = 0
        check_ok(self.api.manifest("library/app", "large"), digest)
        for damage in DAMAGES:
            for reference in (digest, "large"):
                for method in ("GET", "HEAD"):
                    with self.subTest(damage.__name__, reference=reference, method=method):
                        number += 1
                        self.wait_stored(digest, number)
                        damage(self.path_of_file(digest), size)
                        self.docker.forget()
                        answer = check_status(self.api.manifest("library/app", reference, method), 200)
                        self.assertEqual(answer.headers["docker-content-digest"], digest)
                        if method == "GET":
                            check_ok(answer, digest)
                        self.assertEqual(self.docker.count(kind="manifest", method="GET"), 1, self.docker.story())

    def test_after_a_restart_too(self):
        digest = sha256(self.layer)
        self.api.pull("library/app", "1")
        check_ok(self.api.manifest("library/app", "large"), self.large.digest)
        self.wait_stored(digest, 1)
        self.wait_stored(self.large.digest, 1)
        self.registry.stop()
        for broken, size in ((digest, len(self.layer)), (self.large.digest, len(self.large.top.content))):
            full_folder(self.path_of_file(broken), size)
        self.registry.start()
        self.api = self.client(self.registry, ns="docker.io")
        check_ok(self.api.manifest("library/app", self.large.digest), self.large.digest)
        self.get_many(digest)
        for healed, size in ((digest, len(self.layer)), (self.large.digest, len(self.large.top.content))):
            self.wait_stored(healed, 1)  # of the new server's log
            self.assertTrue(self.is_whole(healed, size))

    def test_with_the_upstream_down_it_is_the_upstreams_error(self):
        digest = sha256(self.layer)
        self.api.pull("library/app", "1")
        check_ok(self.api.manifest("library/app", "large"), self.large.digest)
        self.wait_stored(digest, 1)
        self.wait_stored(self.large.digest, 1)
        self.docker.down()
        lose(self.path_of_file(digest), 0)
        lose(self.path_of_file(self.large.digest), 0)
        for answer in (self.api.blob("library/app", digest), self.api.manifest("library/app", self.large.digest),
                       self.api.manifest("library/app", "large")):
            self.assertIn(answer.status, (502, 504), answer)
        self.docker.up()
        wait_until(lambda: self.api.blob("library/app", digest).status == 200, 20, "well again")
        self.get_many(digest)


class HostedTest(DamageScenario):
    def setUp(self):
        self.registry = self.server(workers=self.workers)
        self.api = self.client(self.registry)
        self.image = images.make_image([images.random_bytes(100_000, 2)], oci=True)
        self.large = images.make_artifact(self.image.top, "application/x.text", b"text", {"pad": "x" * 100_000})
        self.contents = {**self.image.blobs, **self.large.blobs}
        for content in self.contents.values():
            self.api.push_blob_at_once("team/app", content)

    def errors_of(self, digest):
        path = self.path_of_file(digest)[len(str(self.registry.data)) + 1:]
        return [line for line in self.errors() if path[:path.rindex("/")] in line]

    def test_a_blob_is_not_here_until_it_is_pushed_again(self):
        digest = self.image.layers[0]
        content = self.contents[digest]
        check_status(self.api.push_manifest("team/app", "1", self.image.top), 201)
        for damage in DAMAGES:
            with self.subTest(damage.__name__):
                damage(self.path_of_file(digest), len(content))
                before = len(self.errors_of(digest))
                answer = self.api.blob("team/app", digest)
                self.assertEqual((answer.status, answer.code), (404, "BLOB_UNKNOWN"))
                self.assertEqual(len(self.errors_of(digest)), before + 1, self.registry.log.tail())
                self.assertIn("push", self.errors_of(digest)[-1])
                self.assertEqual(self.api.blob("team/app", digest, "HEAD").status, 404)
                known = self.api.request("GET", f"/v2/team/app/blobs/{digest}", headers={"If-None-Match": f'"{digest}"'})
                self.assertEqual(known.status, 404)
                mount = self.api.request("POST", f"/v2/team/other/blobs/uploads/?mount={digest}&from=team/app",
                                         headers={"Content-Length": "0"})
                check_status(mount, 202)
                answer = self.api.push_manifest("team/app", "2", self.image.top)
                self.assertEqual((answer.status, answer.code), (400, "MANIFEST_BLOB_UNKNOWN"))
                check_status(self.api.finish_upload(path_of(mount.headers["location"]), digest, content), 201)
                check_ok(self.api.blob("team/app", digest), digest)
                check_status(self.api.push_manifest("team/app", "2", self.image.top), 201)

    def test_a_large_manifest_is_not_here_until_it_is_pushed_again(self):
        digest, size = self.large.digest, len(self.large.top.content)
        for damage in DAMAGES:
            with self.subTest(damage.__name__):
                check_status(self.api.push_manifest("team/app", "large", self.large.top), 201)
                check_ok(self.api.manifest("team/app", "large"), digest)
                damage(self.path_of_file(digest), size)
                for reference in ("large", digest):
                    before = len(self.errors_of(digest))
                    answer = self.api.manifest("team/app", reference)
                    self.assertEqual((answer.status, answer.code), (404, "MANIFEST_UNKNOWN"))
                    self.assertEqual(len(self.errors_of(digest)), before + 1, self.registry.log.tail())
                    self.assertEqual(self.api.manifest("team/app", reference, "HEAD").status, 404)


if __name__ == "__main__":
    unittest.main()
