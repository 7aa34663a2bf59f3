# SPDX-License-Identifier: Apache-2.0
"""Debian's docker-registry: as another upstream, and to compare with."""

import re

from .processes import Daemon
from .waiting import Folder, need_program

CONFIG = """version: 0.1
log: {{level: info, formatter: text}}
storage:
  filesystem: {{rootdirectory: "{folder}/data"}}
  delete: {{enabled: true}}
http:
  addr: 127.0.0.1:0
"""


class StockRegistry:
    """Plain HTTP, no authentication."""

    ca_file = None

    def __init__(self, mirror_of=None):
        """`mirror_of`: the URL of a registry that it is the pull-through cache of."""
        need_program("docker-registry")
        self.folder = Folder("stock")
        config = self.folder / "config.yml"
        with open(config, "w", encoding="utf-8") as out:
            out.write(CONFIG.format(folder=self.folder.path))
            if mirror_of:
                out.write(f"proxy: {{remoteurl: {mirror_of}}}\n")
        self._daemon = Daemon(["docker-registry", "serve", config], self.folder / "log")
        self.port = int(self._daemon.wait_for(self._port, 30, "docker-registry"))

    def _port(self):
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", self._daemon.log())
        return found and found.group(1)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self._daemon.stop()
        self.folder.remove()
