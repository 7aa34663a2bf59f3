# SPDX-License-Identifier: Apache-2.0
"""podman and buildah with storage and configuration of the test's own; nothing of the machine's is read or written."""

import glob
import json
import os
import re
import subprocess

from .processes import run
from .waiting import Folder, need_program, need_root

# Limits, or podman and buildah ask for more than root may have on every machine.
CONTAINERS = """[containers]
netns = "none"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{folder}/tmp"
[network]
network_config_dir = "{folder}/net.d"
"""

STORAGE = """[storage]
driver = "{driver}"
graphroot = "{folder}/root"
runroot = "{folder}/run"
[storage.options]
pull_options = {{enable_partial_images = "true", use_hard_links = "false", ostree_repos = ""}}
"""


def need_podman():
    need_root()
    need_program("podman", "buildah", "runc")


class Podman:
    """Starts empty. `mirrors`: {registry: "HOST:PORT/path"} as in registries.conf; `plain`: registries without TLS."""

    def __init__(self, mirrors=None, plain=(), options=()):
        need_podman()
        self.folder = Folder("podman")
        for name in ("home/.config/containers/registries.conf.d", "net.d", "tmp", "runtime"):
            os.makedirs(self.folder / name)
        policy = {"default": [{"type": "insecureAcceptAnything"}]}
        self._write("home/.config/containers/policy.json", json.dumps(policy))
        self._write("registries.conf", self._registries(mirrors or {}, plain, options))
        self._write("home/.config/containers/registries.conf.d/aliases.conf", self._no_aliases())
        self._write("auth.json", "{}")
        self._write("containers.conf", CONTAINERS.format(folder=self.folder.path))
        for driver in ("overlay", "vfs"):
            self._write("storage.conf", STORAGE.format(folder=self.folder.path, driver=driver))
            if self.podman("info", check=driver == "vfs").status == 0:
                break

    def _write(self, name, text):
        with open(self.folder / name, "w", encoding="utf-8") as out:
            out.write(text)

    @staticmethod
    def _registries(mirrors, plain, options):
        """`options`: lines for every mirror."""
        lines = ['unqualified-search-registries = ["docker.io"]', 'short-name-mode = "disabled"']
        for registry, location in mirrors.items():
            # The registry itself does not exist: what comes, comes by the mirror.
            lines += ["[[registry]]", f'prefix = "{registry}"', 'location = "127.0.0.1:1"', "insecure = true",
                      "[[registry.mirror]]", f'location = "{location}"', "insecure = true", *options]
        for registry in plain:
            lines += ["[[registry]]", f'location = "{registry}"', "insecure = true"]
        return "\n".join(lines) + "\n"

    @staticmethod
    def _no_aliases():
        """Takes back each short name that the machine's files give to a registry of their choice: they are read whatever
        CONTAINERS_REGISTRIES_CONF says, before the user's own."""
        names = set()
        for path in glob.glob("/etc/containers/registries.conf.d/*.conf"):
            with open(path, encoding="utf-8") as source:
                names.update(re.findall(r'^ *("[^"]+") *= *"', source.read(), re.MULTILINE))
        return "\n".join(["[aliases]", *(f'{name} = ""' for name in sorted(names))]) + "\n"

    def environment(self):
        return {"HOME": self.folder / "home", "XDG_RUNTIME_DIR": self.folder / "runtime", "XDG_CONFIG_HOME": "",
                "TMPDIR": self.folder / "tmp", "CONTAINERS_REGISTRIES_CONF": self.folder / "registries.conf",
                "CONTAINERS_CONF": self.folder / "containers.conf",
                "CONTAINERS_STORAGE_CONF": self.folder / "storage.conf",
                "REGISTRY_AUTH_FILE": self.folder / "auth.json", "BUILDAH_ISOLATION": "chroot"}

    def podman(self, *arguments, check=True, seconds=120, folder=None):
        places = ["--root", self.folder / "root", "--runroot", self.folder / "run", "--tmpdir", self.folder / "tmp"]
        return run(["podman", *places, *arguments], self.environment(), seconds, check, folder)

    def buildah(self, *arguments, check=True, seconds=120, folder=None):
        places = ["--root", self.folder / "root", "--runroot", self.folder / "run"]
        return run(["buildah", *places, *arguments], self.environment(), seconds, check, folder)

    def context(self, files):
        """A folder to build in, with {name: bytes}."""
        path = self.folder / "context"
        os.makedirs(path, exist_ok=True)
        for name, content in files.items():
            target = os.path.join(path, name)
            with open(target, "wb") as out:
                out.write(content)
            os.chmod(target, 0o755)
        return path

    def build(self, tag, files, dockerfile, *flags):
        """podman build of {name: bytes}."""
        path = self.context(dict(files, Dockerfile=dockerfile.encode()))
        return self.podman("build", "--network", "host", "-t", tag, *flags, ".", folder=path)

    def run(self, image, *command):
        """What a container of the image says."""
        return self.podman("run", "--rm", "--network", "none", image, *command).out

    def inspect(self, image):
        return json.loads(self.podman("image", "inspect", image).out)[0]

    def stop(self):
        self.podman("rm", "--all", "--force", check=False)
        for name in ("root/overlay", "root"):  # mounts keep a folder from going
            subprocess.run(["umount", self.folder / name], stderr=subprocess.DEVNULL, check=False)
        self.folder.remove()
