# SPDX-License-Identifier: Apache-2.0
"""A stock machine in small. The test's process moves into a network and mounts of its own, where clients find their
files under the names that they have everywhere (/etc/docker/daemon.json, /run/docker.sock), and no way out."""

import ctypes
import os
import re
import subprocess

from .dockerd import MODEST
from .processes import Daemon, end_pid_file, run
from .waiting import Folder, need, need_program, need_root

HOST = "192.168.56.11"  # what other machines call this one
NEW_MOUNTS_AND_NETWORK = 0x00020000 | 0x40000000
WRITABLE = ("/etc", "/var", "/opt")  # what is written there goes with the machine
EMPTY = ("/run", "/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/rancher", "/var/snap")
SYSTEMCTL = re.compile(r"(?:sudo )?systemctl (restart|reload) (\S+)")
PASS_ON = '#!/bin/sh\nexec "$@"\n'


def leave_this_machine():
    """For the rest of the process: a network that has lo alone, with HOST on it, and mounts that nobody else sees.
    Nothing can be downloaded any more."""
    need_root()
    need_program("busybox", "mount", "umount")
    done = ctypes.CDLL(None, use_errno=True).unshare(NEW_MOUNTS_AND_NETWORK)
    need(done == 0, f"namespaces of its own: {os.strerror(ctypes.get_errno())}")
    # In a chroot whose / is not a mount, ours would be seen by everybody.
    is_private = run(["mount", "--make-rprivate", "/"], check=False).status == 0
    need(is_private, "a root folder that is a mount", in_debian=False)
    run(["busybox", "ip", "link", "set", "lo", "up"])
    run(["busybox", "ip", "address", "add", f"{HOST}/32", "dev", "lo"])


class Machine:
    """As it is after the packages were installed, with nothing running. One at a time, after leave_this_machine()."""

    def __init__(self):
        self.folder = Folder("machine")
        self.units = {}  # name for systemctl -> something with stop(), restart() and perhaps reload()
        self._mounts = []
        self._mount(self.folder.path, "-t", "tmpfs", "tmpfs")
        for number, place in enumerate(WRITABLE):
            upper, work = self.folder / f"upper{number}", self.folder / f"work{number}"
            os.makedirs(upper)
            os.makedirs(work)
            self._mount(place, "-t", "overlay", "-o", f"lowerdir={place},upperdir={upper},workdir={work}", "overlay")
        for place in EMPTY:
            os.makedirs(place, exist_ok=True)
            self._mount(place, "-t", "tmpfs", "tmpfs")
        os.makedirs(self.folder / "home")
        self.program("sudo", PASS_ON)

    def _mount(self, place, *what):
        run(["mount", *what, place])
        self._mounts.append(place)

    @property
    def environment(self):
        return {"HOME": self.folder / "home", "PATH": f"{self.folder / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"}

    def program(self, name, script):
        """A script that stands for a program which this machine lacks."""
        path = self.folder / f"bin/{name}"
        self.write(path, script)
        os.chmod(path, 0o755)

    def install(self, name, path):
        os.makedirs(self.folder / "bin", exist_ok=True)
        os.symlink(path, self.folder / f"bin/{name}")

    def write(self, path, text, is_addition=False):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "a" if is_addition else "w", encoding="utf-8") as out:
            out.write(text)

    @staticmethod
    def read(path):
        """Nothing when there is no such file."""
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8") as source:
            return source.read()

    def command(self, line, check=True):
        """As a shell would; systemctl is ours."""
        control = SYSTEMCTL.fullmatch(line)
        if control:
            return getattr(self.units[control.group(2)], control.group(1))()
        return run(["sh", "-ec", line], self.environment, 120, check, self.folder / "home")

    def stop(self):
        for unit in self.units.values():
            unit.stop()
        for place in reversed(self._mounts):
            subprocess.run(["umount", "-l", place], check=False)
        self.folder.remove()


class Unit:
    """A service as systemd would start it, with its own defaults. `is_up`: the command that tells."""

    def __init__(self, machine, command, is_up, environment=None, prepare=lambda: None):
        self.machine = machine
        self._command = command
        self._is_up = is_up
        self._environment = environment or machine.environment
        self._prepare = prepare  # before each start
        self._daemon = None
        self._starts = 0
        self.start()

    def start(self):
        self._prepare()
        self._starts += 1
        log = self.machine.folder / f"{os.path.basename(self._command[0])}.log.{self._starts}"
        self._daemon = Daemon(self._command, log, self._environment)
        self._daemon.wait_for(lambda: self.machine.command(self._is_up, check=False).status == 0, 60, self._is_up)

    def log(self):
        return self._daemon.log(1 << 20)

    def send_signal(self, number):
        self._daemon.process.send_signal(number)

    def wait_for_log(self, text, times):
        self._daemon.wait_for(lambda: self.log().count(text) >= times, 20, text)

    def stop(self):
        self._daemon.stop()

    def restart(self):
        self.stop()
        self.start()


class DockerUnit(Unit):
    """Debian's unit, but that containerd is Docker's own, and without rules for the network."""

    def __init__(self, machine, program="dockerd", environment=None):
        command = [program, "--host", "unix:///run/docker.sock", *MODEST]
        super().__init__(machine, command, "docker version", environment)

    def reload(self):
        """What ExecReload= does; systemctl does not wait until it is done either."""
        before = self.log().count("Reloaded configuration")
        self.send_signal(1)
        self.wait_for_log("Reloaded configuration", before + 1)

    def stop(self):
        super().stop()
        end_pid_file("/run/docker/containerd/containerd.pid")
