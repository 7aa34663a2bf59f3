# SPDX-License-Identifier: Apache-2.0
"""What was acknowledged is there: clients that write down each answer, faults in between, and a verifier.

Clients push, replace, mount and delete images, and note what they are about to do and what was answered, synced, outside of the
disk under test. After a fault every tag must name what its last acknowledged change says; when a change was under way, that
or what was before. Everything that is served is compared with its digest."""

import array
import fcntl
import json
import os
import random
import signal
import subprocess
import threading
import time

from . import images
from .client import Client
from .images import sha256
from .waiting import wait_until

SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN, of ext4 and XFS
WITHOUT_LOG = 2  # nothing more is written, not even the journal of the file system
TAGS = 4


class Journal:
    """Each line is on disk before the next step."""

    def __init__(self, path):
        self._file = open(path, "a", encoding="utf-8")
        self._lock = threading.Lock()
        self.count = 0

    def note(self, **entry):
        with self._lock:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
            os.fdatasync(self._file.fileno())
            self.count += entry.get("is", "") == "acknowledged"

    def close(self):
        self._file.close()


class Pusher(threading.Thread):
    """One client with a repository of its own. `may[tag]`: what the tag may name, None for nothing."""

    def __init__(self, number, journal, seed):
        super().__init__(daemon=True)
        self.name = f"durable/client{number}"
        self.other = f"durable/client{1 - number % 2}"
        self.journal = journal
        self.random = random.Random(seed)
        self.may = {f"t{index}": {None} for index in range(TAGS)}
        self.images = {}
        self.is_stopped = threading.Event()
        self.port = None

    def run(self):
        while not self.is_stopped.is_set():
            tag = self.random.choice(list(self.may))
            known = [digest for digest in self.may[tag] if digest]
            try:
                if len(self.may[tag]) == 1 and known and self.random.random() < 0.3:
                    self.delete(tag, known[0])
                else:
                    self.push(tag)
            except OSError:
                time.sleep(0.005)  # nobody is there: the fault
            except AssertionError:
                pass

    def push(self, tag):
        layers = [images.random_bytes(self.random.choice((100, 5000, 200000)), self.random.getrandbits(40)),
                  images.random_bytes(3000, self.random.randrange(3))]  # the second one is everybody's
        image = images.make_image(layers, label=str(self.random.getrandbits(60)))
        api = Client(self.port)
        self.images[image.digest] = image
        self.journal.note(name=self.name, tag=tag, digest=image.digest, **{"is": "begun"})
        self.may[tag] = self.may[tag] | {image.digest}
        api.push(self.name, tag, image)
        self.may[tag] = {image.digest}
        self.journal.note(name=self.name, tag=tag, digest=image.digest, **{"is": "acknowledged"})

    def delete(self, tag, digest):
        self.journal.note(name=self.name, tag=tag, digest=digest, **{"is": "deleting"})
        self.may[tag] = {digest, None}
        answer = Client(self.port).delete_manifest(self.name, digest)
        if answer.status == 202:
            self.may[tag] = {None}
            self.journal.note(name=self.name, tag=tag, digest=digest, **{"is": "acknowledged"})

    def verify(self):
        """Wrong and lost things, as texts. What was found is the truth from now on."""
        api = Client(self.port)
        trouble = []
        for tag, may in self.may.items():
            answer = api.manifest(self.name, tag)
            found = answer.digest if answer.status == 200 else None
            if answer.status not in (200, 404) or found not in may:
                trouble.append(f"{self.name}:{tag} is {answer.status} {found}, and may be {sorted(map(str, may))}")
            elif found:
                trouble += self.verify_image(api, tag, answer)
            self.may[tag] = {found}
        return trouble

    def verify_image(self, api, tag, answer):
        trouble = []
        if sha256(answer.body) != answer.digest:
            trouble.append(f"{self.name}:{tag} has other bytes than its digest")
        document = json.loads(answer.body)
        for entry in [document["config"], *document["layers"]]:
            blob = api.blob(self.name, entry["digest"])
            if blob.status != 200 or sha256(blob.body) != entry["digest"]:
                trouble.append(f"{self.name}:{tag} lacks {entry['digest']}: {blob.status}")
        return trouble


class Disk:
    """A file system in a file, which can lose its power."""

    def __init__(self, folder, kind):
        self.image = f"{folder}/{kind}.img"
        self.path = f"{folder}/{kind}"
        self.kind = kind
        os.makedirs(self.path)
        with open(self.image, "wb") as out:
            out.truncate(400 << 20)
        make = ["mkfs.ext4", "-q", "-F"] if kind == "ext4" else ["mkfs.xfs", "-q"]
        subprocess.run([*make, self.image], check=True, capture_output=True)
        self.mount()

    def mount(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.path], check=True, capture_output=True)

    def unmount(self):
        def try_it():
            return subprocess.run(["umount", self.path], check=False, capture_output=True).returncode == 0
        wait_until(try_it, 30, "the file system is not used any more")

    def cut(self):
        """From now on nothing reaches the disk, and every write fails."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, array.array("I", [WITHOUT_LOG]))
        finally:
            os.close(folder)


class Trial:
    """A server under pushes, with one fault after the other."""

    def __init__(self, server, folder, seed, clients=3):
        self.server = server
        self.random = random.Random(seed)
        self.journal = Journal(f"{folder}/journal")
        self.pushers = [Pusher(number, self.journal, seed * 100 + number) for number in range(clients)]
        self.trouble = []
        self.faults = 0

    def begin(self):
        for pusher in self.pushers:
            pusher.port = self.server.port
            pusher.start()

    def _pause(self):
        """Lets what is under way end; a client that is in the middle of a request loses it to the fault."""
        for pusher in self.pushers:
            pusher.is_stopped.set()
        for pusher in self.pushers:
            pusher.join(60)

    def _go_on(self):
        fresh = []
        for old in self.pushers:
            pusher = Pusher(0, self.journal, self.random.getrandbits(40))
            pusher.name, pusher.may, pusher.images = old.name, old.may, old.images
            pusher.port = self.server.port
            fresh.append(pusher)
            pusher.start()
        self.pushers = fresh

    def _verify(self, what):
        for pusher in self.pushers:
            pusher.port = self.server.port
            self.trouble += [f"after {what}: {text}" for text in pusher.verify()]

    def _work(self):
        before = self.journal.count
        span = self.random.uniform(0.02, 0.4)
        wait_until(lambda: self.journal.count > before, 60, "an acknowledgement")
        time.sleep(span)  # the fault comes at any moment

    def kill(self):
        self._work()
        victim = self.random.choice(("all", "all", "master", "keeper", "worker", "fetcher"))
        if victim == "all":
            for child in [*self.server.children(), None]:
                pid = child.pid if child else self.server.process.pid
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        elif victim == "master":
            os.kill(self.server.process.pid, signal.SIGKILL)
        else:
            old = self.server.kill(victim, 0)
            self.server.wait_respawn(victim, 0, old, seconds=20)
        self._pause()
        if victim in ("all", "master"):
            self.server.end()
            self.server.start()
        self._verify(f"a kill of {victim}")
        self.faults += 1
        self._go_on()

    def cut(self, disk):
        self._work()
        disk.cut()
        self.server.end()
        self._pause()
        disk.unmount()
        disk.mount()
        self.server.start()
        self._verify(f"a power cut on {disk.kind}")
        self.faults += 1
        self._go_on()

    def end(self):
        self._pause()
        self.journal.close()
