# SPDX-License-Identifier: Apache-2.0
"""A cache with a limit: cached images go, those that were pulled longest ago first, and nothing else does."""

import os
import tarfile
import threading

from scenario.test_space import FOLDERS, blob_files, used_bytes
from support import images
from support.case import Scenario
from support.client import check_ok
from support.control import Control
from support.server import Folder
from support.waiting import wait_until

MIB = 1024 * 1024


class EvictScenario(Scenario):
    def start(self, storage, tags=None, **options):
        self.source = self.hub()
        self.registry = self.server(self.source, settings={"storage": storage}, failpoints=[], **options)
        self.api = self.client(self.registry, ns="docker.io")
        self.hosted = self.client(self.registry)

    def put(self, name, size, seed, layers=()):
        image = images.make_image([images.random_bytes(size, seed), *layers])
        self.source.publish(f"library/{name}", "1", image)
        return image

    def pull(self, name):
        self.api.pull(f"library/{name}", "1")

    def settle(self):
        """Until what was fetched is stored."""
        self.registry.settle()

    def is_here(self, digest):
        return digest in blob_files(self.registry)

    def wait_gone(self, *digests, seconds=20):
        wait_until(lambda: not set(digests) & set(blob_files(self.registry)), seconds,
                   lambda: f"evicted: {set(digests) & set(blob_files(self.registry))}\n{self.registry.log.tail()}")


class LimitTest(EvictScenario):
    def test_a_cache_stays_within_its_limit(self):
        limit = 96 * MIB
        self.start({"cache_limit": "96MiB"})
        pushed = images.make_image([images.random_bytes(20 * MIB, 99)])
        self.hosted.push("team/app", "1", pushed)
        made, most = [], 0
        for number in range(20):
            made.append(self.put(f"app{number}", 8 * MIB, number))
            self.pull(f"app{number}")
            most = max(most, used_bytes(self.registry) - 20 * MIB)
        self.settle()  # a client has its bytes before they are stored
        self.assertLess(most, limit + (8 + 32) * MIB)
        wait_until(lambda: self.registry.metric("cached_bytes") <= limit, 20, "below the limit")
        self.wait_gone(made[0].digest, *made[0].blobs)
        for digest in (made[-1].digest, *made[-1].blobs, pushed.digest, *pushed.blobs):
            self.assertTrue(self.is_here(digest), digest)
        asked = self.source.count(name="library/app19")
        self.pull("app19")
        self.pull("app0")  # and what is gone comes again
        check_ok(self.hosted.manifest("team/app", "1"), pushed.digest)
        self.assertLessEqual(self.source.count(name="library/app19"), asked + 1)

    def test_what_images_share_stays_while_one_of_them_lives(self):
        self.start({"cache_limit": "24MiB"})
        shared = images.random_bytes(6 * MIB, 7)
        first = self.put("first", 4 * MIB, 1, [shared])
        second = self.put("second", 4 * MIB, 2, [shared])
        self.pull("first")
        self.pull("second")
        self.settle()
        self.put("third", 12 * MIB, 3)
        self.pull("third")
        self.settle()
        self.wait_gone(first.digest)
        self.assertTrue(self.is_here(second.digest))
        for digest in second.blobs:
            self.assertTrue(self.is_here(digest), digest)

    def test_who_was_used_last_stays(self):
        self.start({"cache_limit": "24MiB"})
        made = [self.put(f"app{number}", 7 * MIB, number) for number in range(4)]
        for number in range(3):
            self.pull(f"app{number}")
            self.settle()
        self.registry.stop()  # uses of the same minute are told once: another process begins anew
        self.registry.start()
        self.api = self.client(self.registry, ns="docker.io")
        self.pull("app0")
        wait_until(lambda: self.last_use(made[0]) > self.last_use(made[2]), 20, "the use was told")
        self.pull("app3")
        self.wait_gone(made[1].digest)
        self.assertTrue(self.is_here(made[0].digest))

    def last_use(self, image):
        listed = Control(self.registry).pages("images", "images")
        return next(entry["last_used"] for entry in listed if entry["digest"] == image.digest)

    def test_an_upstream_has_a_limit_of_its_own(self):
        self.start({"cache_limit": "1GiB"}, upstreams={"docker.io": {"url": "http://127.0.0.1:9"}})
        hub = self.source
        settings = {"docker.io": {**self.registry.upstream(hub), "cache_limit": "20MiB"}}
        registry = self.server(upstreams=settings, failpoints=[])
        self.registry = registry
        self.api = self.client(registry, ns="docker.io")
        made = [self.put(f"app{number}", 8 * MIB, number) for number in range(3)]
        for number in range(3):
            self.pull(f"app{number}")
        self.settle()
        self.wait_gone(made[0].digest)
        self.assertTrue(self.is_here(made[2].digest))

    def test_a_disk_that_has_too_little_free_takes_the_oldest(self):
        self.start({"min_free": "1TiB"})
        made = self.put("app", MIB, 1)
        self.pull("app")
        self.wait_gone(made.digest, *made.blobs)

    def test_what_nobody_pulled_for_so_long_goes(self):
        folder = Folder("old")
        self.addCleanup(folder.remove)
        with tarfile.open(f"{FOLDERS}/ledger-2.tar.xz") as archive:
            archive.extractall(folder.path)
        registry = self.server(folder=folder, upstreams={"docker.io": {"url": "http://127.0.0.1:9", "default": True}},
                               settings={"storage": {"cache_max_age": "1m"}})
        hosted = self.client(registry)
        self.registry = registry
        wait_until(lambda: len(blob_files(registry)) == 3, 20, lambda: f"what was cached went\n{registry.log.tail()}")
        self.assertEqual(len(hosted.tags("team/app").json()["tags"]), 1)
        self.assertTrue([line for line in registry.log.lines() if "brought from version 2 to 3" in line.text])


class ReadersTest(EvictScenario):
    def test_no_reader_is_cut_off(self):
        """A cache that is far too small for what is pulled from it."""
        self.start({"cache_limit": "8MiB"})
        for number in range(6):
            self.put(f"app{number}", 3 * MIB, number)
        trouble = []

        def read(first):
            api = self.client(self.registry, ns="docker.io")
            try:
                for step in range(12):
                    api.pull(f"library/app{(first + step) % 6}", "1")
            except Exception as error:  # pylint: disable=broad-except
                trouble.append(repr(error))

        readers = [threading.Thread(target=read, args=(number,)) for number in range(6)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        self.assertEqual(trouble, [])
        self.settle()
        wait_until(lambda: self.registry.metric("cached_bytes") <= 8 * MIB, 20,
                   lambda: f"below the limit\n{self.registry.log.tail()}")
        self.assertTrue([line for line in self.registry.log.lines() if "the limit is too small" in line.text])
