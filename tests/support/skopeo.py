# SPDX-License-Identifier: Apache-2.0
"""skopeo, as the tests use it."""

import json
import os

from .processes import run
from .waiting import Folder, need_program


class Skopeo:
    def __init__(self):
        need_program("skopeo")
        self.folder = Folder("skopeo")
        self._policy = self.folder / "policy.json"
        with open(self._policy, "w", encoding="utf-8") as out:
            json.dump({"default": [{"type": "insecureAcceptAnything"}]}, out)

    def run(self, *arguments, check=True):
        environment = {"HOME": self.folder.path, "XDG_RUNTIME_DIR": self.folder.path}
        return run(["skopeo", "--policy", self._policy, *arguments], environment, 180, check)

    def copy(self, source, destination, *flags, check=True):
        return self.run("copy", "--src-tls-verify=false", "--dest-tls-verify=false", *flags, source, destination,
                        check=check)

    def to_folder(self, source, name, *flags, check=True):
        """Copy into a new folder of ours; returns its path and what skopeo said."""
        path = os.path.join(self.folder.path, name)
        result = self.copy(source, f"dir:{path}", *flags, check=check)
        return path, result

    def inspect(self, source):
        return json.loads(self.run("inspect", "--raw", "--tls-verify=false", source).out)

    def stop(self):
        self.folder.remove()
