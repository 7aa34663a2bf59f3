# SPDX-License-Identifier: Apache-2.0
"""Files under blobs/ that are lost, of another size, or something else than a file: cached ones are brought again,
hosted ones are not here until they are pushed again."""

import os
import shutil
import signal
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


def flip(path, size):
    """One bit of one byte; its time tells."""
    with open(path, "r+b") as out:
        out.seek(size // 2)
        byte = out.read(1)[0]
        out.seek(size // 2)
        out.write(bytes([byte ^ 1]))


def flip_silently(path, size):
    """As a disk does it: nothing tells."""
    found = os.stat(path)
    flip(path, size)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def restore(path):
    """From a backup: the same bytes in another file, of another time."""
    shutil.copyfile(path, path + ".restored")
    os.utime(path + ".restored", ns=(0, 1_600_000_000_000_000_000))
    os.rename(path + ".restored", path)


DAMAGES = [lose, shorten, lengthen, empty, flip, link, folder, full_folder, fifo, unix_socket, lose_folder, file_for_folder]
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

    def test_lost_folders_are_made_again_by_the_next_push(self):
        for folder in ("blobs", "uploads"):
            shutil.rmtree(os.path.join(self.registry.data, folder))
        digest = self.image.layers[0]
        check_status(self.api.blob("team/app", digest), 404)
        for _ in range(4):  # each worker has its own descriptors of the folders
            for content in self.contents.values():
                self.client(self.registry).push_blob_at_once("team/app", content)
            check_ok(self.client(self.registry).blob("team/app", digest), digest)
        check_status(self.api.push_manifest("team/app", "1", self.image.top), 201)
        check_ok(self.api.manifest("team/app", "1"), self.image.top.digest)

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


class ComparedTest(DamageScenario):
    """Files whose bytes must be looked at."""
    def setUp(self):
        self.docker = self.hub()
        self.layer = images.random_bytes(3_000_000, 3)
        self.image = images.make_image([self.layer], oci=True)
        self.large = images.make_artifact(self.image.top, "application/x.text", b"text", {"pad": "x" * 100_000})
        for tag, image in (("1", self.image), ("large", self.large)):
            self.docker.publish("library/app", tag, image)
        self.registry = self.server(self.docker, {"fetch": {"negative_ttl": "0s"}}, workers=self.workers)
        self.api = self.client(self.registry)
        self.cached = self.client(self.registry, ns="docker.io")
        for content in {**self.image.blobs, **self.large.blobs}.values():
            self.api.push_blob_at_once("team/app", content)
        check_status(self.api.push_manifest("team/app", "1", self.image.top), 201)
        check_status(self.api.push_manifest("team/app", "large", self.large.top), 201)

    def lines_about(self, digest):
        return [line for line in self.errors() if digest.partition(":")[2] in line]

    def compared_by(self, role):
        return self.registry.metrics(role).get("entrepot_files_compared_total", 0)

    def files(self):
        for folder, _, names in os.walk(f"{self.registry.data}/blobs"):
            for name in names:
                yield os.path.join(folder, name)

    def test_a_restored_registry_is_compared_once_and_kept(self):
        self.cached.pull("library/app", "large")
        self.registry.settle()
        self.registry.stop()
        for path in list(self.files()):
            restore(path)
        self.registry.start()
        self.docker.down()
        api, cached = self.client(self.registry), self.client(self.registry, ns="docker.io")
        for method in ("HEAD", "GET", "GET"):
            for digest in self.image.layers:
                check_status(api.blob("team/app", digest, method), 200)
        wait_until(lambda: self.registry.metric("commits") >= 1, 10, "it is recorded")
        compared = self.compared_by("worker")
        self.assertLessEqual(compared, self.workers * len(self.image.layers))
        many = Many()
        for _ in range(20):
            many.start(api.blob, "team/app", self.image.layers[0])
        for answer in many.join():
            check_ok(answer, self.image.layers[0])
        self.assertEqual(self.compared_by("worker"), compared)
        self.assertIn(self.compared_by("keeper"), range(1, self.workers + 1))
        api.pull("team/app", "1")
        cached.pull("library/app", "large")
        part = api.blob("team/app", self.image.layers[0], headers={"Range": "bytes=5-9,100-109"})
        self.assertEqual(part.status, 206)
        self.assertEqual(self.registry.metric("files_damaged"), 0)
        self.assertEqual(self.errors(), [])
        check_status(api.push_manifest("team/app", "2", self.image.top), 201)

    def test_a_link_and_another_mode_are_no_reason_to_compare(self):
        digest = self.image.layers[0]
        path = self.path_of_file(digest)
        os.link(path, path + ".backup")
        os.chmod(path, 0o600)
        check_ok(self.api.blob("team/app", digest), digest)
        os.unlink(path + ".backup")
        check_ok(self.api.blob("team/app", digest), digest)
        self.assertEqual(self.registry.metric("files_compared"), 0)

    def test_a_touched_blob_is_compared_for_all_who_wait(self):
        digest = self.image.layers[0]
        os.utime(self.path_of_file(digest))
        many = Many()
        for number in range(30):
            many.start(self.api.blob, "team/app", digest, "HEAD" if number % 3 == 0 else "GET")
        for answer in many.join():
            check_status(answer, 200)
        self.assertLessEqual(self.compared_by("worker"), 2 * self.workers)

    def test_a_touched_blob_is_served_while_the_keeper_hangs(self):
        digest = self.image.layers[0]
        os.utime(self.path_of_file(digest))
        keeper = self.registry.kill("keeper", number=signal.SIGSTOP)
        for _ in range(4):
            check_ok(self.client(self.registry).blob("team/app", digest), digest)
        os.kill(keeper, signal.SIGCONT)
        wait_until(lambda: self.compared_by("keeper") >= 1, 10, "the keeper has looked")
        check_ok(self.api.blob("team/app", digest), digest)

    def test_a_flipped_blob_is_unknown_while_the_keeper_is_replaced(self):
        digest = self.image.layers[0]
        flip(self.path_of_file(digest), len(self.layer))
        keeper = self.registry.kill("keeper", number=signal.SIGSTOP)
        many = Many()
        for _ in range(4):
            many.start(self.client(self.registry).blob, "team/app", digest)
        wait_until(lambda: self.compared_by("worker") >= 1, 10, "a worker has looked")
        os.kill(keeper, signal.SIGKILL)
        for answer in many.join():
            self.assertEqual((answer.status, answer.code), (404, "BLOB_UNKNOWN"))
        wait_until(lambda: self.compared_by("keeper") >= 1, 10, "the next keeper has looked")
        self.assertEqual(self.api.blob("team/app", digest, "HEAD").status, 404)

    def test_a_flipped_blob_is_wrong_in_every_part_and_after_a_restart(self):
        digest = self.image.layers[0]
        flip(self.path_of_file(digest), len(self.layer))
        for _ in range(2):
            for headers in ({}, {"Range": "bytes=0-9"}, {"If-None-Match": f'"{digest}"'}):
                answer = self.api.blob("team/app", digest, headers=headers)
                self.assertEqual((answer.status, answer.code), (404, "BLOB_UNKNOWN"), headers)
            self.registry.stop()
            self.registry.start()
            self.api = self.client(self.registry)
        answer = self.api.push_manifest("team/app", "2", self.image.top)
        self.assertEqual((answer.status, answer.code), (400, "MANIFEST_BLOB_UNKNOWN"))
        self.assertEqual(len(self.lines_about(digest)), 1, self.registry.log.tail())
        self.api.push_blob_at_once("team/app", self.layer)
        check_ok(self.api.blob("team/app", digest), digest)
        check_status(self.api.push_manifest("team/app", "2", self.image.top), 201)
        self.registry.stop()
        self.registry.start()
        check_ok(self.client(self.registry).blob("team/app", digest), digest)
        self.assertEqual(self.registry.metric("files_compared"), 0)

    def test_mounts_of_damaged_blobs_leave_a_line(self):
        digest = self.image.layers[0]
        path = f"/v2/team/other/blobs/uploads/?mount={digest}&from=team/app"
        lose(self.path_of_file(digest), 0)
        check_status(self.api.request("POST", path, headers={"Content-Length": "0"}), 202)
        self.assertEqual(len(self.lines_about(digest)), 1, self.registry.log.tail())
        answer = self.api.push_manifest("team/app", "2", self.image.top)
        self.assertEqual((answer.status, answer.code), (400, "MANIFEST_BLOB_UNKNOWN"))
        self.assertEqual(len(self.lines_about(digest)), 2, self.registry.log.tail())

    def test_a_mount_does_not_wait_for_bytes_to_be_compared(self):
        digest = self.image.layers[0]
        flip(self.path_of_file(digest), len(self.layer))
        path = f"/v2/team/other/blobs/uploads/?mount={digest}&from=team/app"
        check_status(self.api.request("POST", path, headers={"Content-Length": "0"}), 202)

    def test_a_manifest_is_compared_whenever_it_is_read(self):
        digest, size = self.large.digest, len(self.large.top.content)
        for damage in (flip, flip_silently):
            for method in ("GET", "HEAD"):
                for reference in ("large", digest):
                    with self.subTest(damage.__name__, method=method, reference=reference):
                        check_ok(self.api.manifest("team/app", reference), digest)
                        damage(self.path_of_file(digest), size)
                        before = len(self.lines_about(digest))
                        for _ in range(2):
                            self.assertEqual(self.api.manifest("team/app", reference, method).status, 404)
                        self.assertEqual(len(self.lines_about(digest)), before + 2, self.registry.log.tail())
                        check_status(self.api.push_manifest("team/app", "large", self.large.top), 201)
        check_ok(self.api.manifest("team/app", digest), digest)

    def test_a_cached_manifest_is_brought_again(self):
        digest, size = self.large.digest, len(self.large.top.content)
        other = images.make_artifact(self.image.top, "application/x.text", b"other", {"pad": "y" * 100_000})
        self.docker.publish("library/other", "1", other)
        digest, size = other.digest, len(other.top.content)
        number = 0
        check_ok(self.cached.manifest("library/other", "1"), digest)
        for damage in (flip, flip_silently):
            for reference in ("1", digest):
                for method in ("HEAD", "GET"):
                    with self.subTest(damage.__name__, method=method, reference=reference):
                        number += 1
                        self.wait_stored(digest, number)
                        damage(self.path_of_file(digest), size)
                        self.docker.forget()
                        check_status(self.cached.manifest("library/other", reference, method), 200)
                        check_ok(self.cached.manifest("library/other", reference), digest)
                        self.assertEqual(self.docker.count(kind="manifest", method="GET"), 1, self.docker.story())

    def test_a_cached_manifest_with_the_upstream_down(self):
        other = images.make_artifact(self.image.top, "application/x.text", b"other", {"pad": "y" * 100_000})
        self.docker.publish("library/other", "1", other)
        check_ok(self.cached.manifest("library/other", "1"), other.digest)
        self.wait_stored(other.digest, 1)
        self.docker.down()
        os.utime(self.path_of_file(other.digest))
        check_ok(self.cached.manifest("library/other", "1"), other.digest)
        flip_silently(self.path_of_file(other.digest), len(other.top.content))
        for reference in ("1", other.digest):
            self.assertIn(self.cached.manifest("library/other", reference).status, (502, 504))

    def test_a_damaged_referrer_keeps_its_place_in_the_list(self):
        flip_silently(self.path_of_file(self.large.digest), len(self.large.top.content))
        answer = check_status(self.api.request("GET", f"/v2/team/app/referrers/{self.image.digest}"), 200)
        entries = answer.json()["manifests"]
        self.assertEqual([entry["digest"] for entry in entries], [self.large.digest])
        self.assertNotIn("annotations", entries[0])
        self.assertEqual(len(self.lines_about(self.large.digest)), 1, self.registry.log.tail())


if __name__ == "__main__":
    unittest.main()
