# SPDX-License-Identifier: Apache-2.0
"""Today's Docker engine, which keeps its images in containerd, and today's containerd alone; both built from their
modules (support.gotools), with folders of their own, steered by this machine's docker and their own ctr."""

import json
import os
import shutil

from .dockerd import DOCKER, MODEST
from .gotools import gotool, gotools
from .processes import Daemon, end_pid_file, run
from .waiting import Folder, need_program, need_root

ENGINE = ("runc", "containerd-shim-runc-v2", "containerd", "dockerd")

CONTAINERD_CONFIG = """version = 3
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
    "io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
    "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.erofs", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{folder}/containerd.sock"
[ttrpc]
  address = "{folder}/ttrpc.sock"
[plugins."io.containerd.transfer.v1.local"]
  max_concurrent_downloads = {downloads}
  concurrent_layer_fetch_buffer = {piece}
"""


def need_modern():
    """Builds what is missing."""
    need_root()
    need_program(DOCKER)
    gotools(*ENGINE)


def modern_environment():
    """What today's daemons are started with: programs of their age come first."""
    path = gotools(*ENGINE)
    return {"PATH": f"{path}:{os.environ['PATH']}", "DOCKER_MIN_API_VERSION": "1.24"}


class ModernDocker:
    """Starts empty. `mirrors`: URLs for registry-mirrors."""

    def __init__(self, mirrors=()):
        need_modern()
        self.folder = Folder("modern")
        self.socket = self.folder / "docker.sock"
        self._exec_root = self.folder / "exec"
        config = self.folder / "daemon.json"
        with open(config, "w", encoding="utf-8") as out:
            json.dump({"registry-mirrors": list(mirrors)}, out)
        self._daemon = Daemon(
            [gotool("dockerd"), "--config-file", config, "--data-root", self.folder / "data", "--exec-root",
             self._exec_root, "--host", f"unix://{self.socket}", "--pidfile", self.folder / "pid", *MODEST],
            self.folder / "log", modern_environment())
        try:
            self._daemon.wait_for(lambda: self.docker("version", check=False).status == 0, 60, "dockerd")
        except BaseException:
            self.stop()
            raise

    def docker(self, *arguments, check=True, folder=None, buildkit=False):
        environment = {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": self.folder / "client",
                       "DOCKER_BUILDKIT": str(int(buildkit)), "DOCKER_CLI_EXPERIMENTAL": "enabled"}
        return run([DOCKER, *arguments], environment, 180, check, folder)

    def build(self, tag, files, dockerfile, *flags, buildkit=False):
        """docker build of {name: bytes}, with the classic builder or the engine's BuildKit."""
        context = self.folder / "context"
        shutil.rmtree(context, ignore_errors=True)
        os.makedirs(context)
        for name, content in dict(files, Dockerfile=dockerfile.encode()).items():
            path = os.path.join(context, name)
            with open(path, "wb") as out:
                out.write(content)
            os.chmod(path, 0o755)
        return self.docker("build", "-t", tag, *flags, ".", folder=context, buildkit=buildkit)

    def run(self, image, *command):
        """What a container of the image says."""
        flags = ("--rm", "--network", "none", "--security-opt", "seccomp=unconfined")
        return self.docker("run", *flags, image, *command).out

    def log(self):
        return self._daemon.log()

    def stop(self):
        self._daemon.stop()
        end_pid_file(os.path.join(self._exec_root, "containerd", "containerd.pid"))
        self.folder.remove()


class ModernContainerd:
    """Starts empty. `hosts`: {registry: its hosts.toml}. Layers come in so many parallel pieces of that size."""

    def __init__(self, hosts, downloads=3, piece=0):
        need_modern()
        self.folder = Folder("containerd2")
        self._ctr = gotool("ctr")
        self._hosts = self.folder / "hosts"
        for registry, text in hosts.items():
            os.makedirs(os.path.join(self._hosts, registry))
            with open(os.path.join(self._hosts, registry, "hosts.toml"), "w", encoding="utf-8") as out:
                out.write(text)
        config = self.folder / "config.toml"
        with open(config, "w", encoding="utf-8") as out:
            out.write(CONTAINERD_CONFIG.format(folder=self.folder.path, downloads=downloads, piece=piece))
        self._daemon = Daemon([gotool("containerd"), "--config", config], self.folder / "log", modern_environment())
        try:
            self._daemon.wait_for(lambda: self.ctr("version", check=False).status == 0, 60, "containerd")
        except BaseException:
            self.stop()
            raise

    def ctr(self, *arguments, check=True, seconds=180):
        return run([self._ctr, "--address", self.folder / "containerd.sock", *arguments], None, seconds, check)

    def pull(self, reference, *flags, check=True):
        return self.ctr("images", "pull", "--hosts-dir", self._hosts, *flags, reference, check=check)

    def push(self, reference, *flags, check=True):
        return self.ctr("images", "push", "--hosts-dir", self._hosts, *flags, reference, check=check)

    def log(self):
        return self._daemon.log()

    def stop(self):
        self._daemon.stop()
        self.folder.remove()
