# SPDX-License-Identifier: Apache-2.0
"""A containerd of the test's own, and ctr."""

import os

from .processes import Daemon, run
from .waiting import Folder, need_program, need_root

CONFIG = """version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{folder}/containerd.sock"
[ttrpc]
  address = "{folder}/ttrpc.sock"
"""


class Containerd:
    """Starts empty. `hosts`: {registry: (server, [mirror URL, …])} written as hosts.toml."""

    def __init__(self, hosts=None):
        need_root()
        need_program("containerd", "ctr")
        self.folder = Folder("containerd")
        self.hosts_dir = self.folder / "hosts"
        os.makedirs(self.hosts_dir)
        for registry, (server, mirrors) in (hosts or {}).items():
            self._write_hosts(registry, server, mirrors)
        config = self.folder / "config.toml"
        with open(config, "w", encoding="utf-8") as out:
            out.write(CONFIG.format(folder=self.folder.path))
        self._daemon = Daemon(["containerd", "--config", config], self.folder / "log")
        try:
            self._daemon.wait_for(lambda: self.ctr("version", check=False).status == 0, 60, "containerd")
        except BaseException:
            self.stop()
            raise

    def _write_hosts(self, registry, server, mirrors):
        os.makedirs(os.path.join(self.hosts_dir, registry))
        with open(os.path.join(self.hosts_dir, registry, "hosts.toml"), "w", encoding="utf-8") as out:
            out.write(f'server = "{server}"\n')
            for mirror in mirrors:
                out.write(f'[host."{mirror}"]\n  capabilities = ["pull", "resolve"]\n')

    def ctr(self, *arguments, check=True, seconds=180):
        return run(["ctr", "--address", self.folder / "containerd.sock", *arguments], None, seconds, check)

    def pull(self, reference, *flags, check=True):
        return self.ctr("images", "pull", "--hosts-dir", self.hosts_dir, *flags, reference, check=check)

    def push(self, reference, *flags, check=True):
        return self.ctr("images", "push", *flags, reference, check=check)

    def stop(self):
        self._daemon.stop()
        self.folder.remove()
