# SPDX-License-Identifier: Apache-2.0
"""A Docker engine of the test's own, with its own folders, and the docker command that speaks to it."""

import json
import os
import shutil

from .processes import Daemon, end_pid_file, run
from .waiting import Folder, need_program, need_root

DOCKER = "/usr/bin/docker"
# It changes nothing in the machine's network, and gives up at once what does not come.
MODEST = ("--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
          "--userland-proxy=false", "--max-download-attempts", "1", "--shutdown-timeout", "5")


def need_docker():
    need_root()
    need_program("dockerd", DOCKER, "containerd", "runc")


class Dockerd:
    """Starts empty. `mirrors`: URLs for registry-mirrors."""

    def __init__(self, mirrors=(), insecure=()):
        need_docker()
        self.folder = Folder("docker")
        self.socket = self.folder / "docker.sock"
        self._exec_root = self.folder / "exec"
        config = self.folder / "daemon.json"
        with open(config, "w", encoding="utf-8") as out:
            json.dump({"registry-mirrors": list(mirrors), "insecure-registries": list(insecure)}, out)
        self._daemon = None
        for driver in ("overlay2", "vfs"):
            try:
                self._start(config, driver)
                break
            except AssertionError:
                self._end()
                if driver == "vfs":
                    self.folder.remove()
                    raise

    def _start(self, config, driver):
        self._daemon = Daemon(
            ["dockerd", "--config-file", config, "--data-root", self.folder / "data", "--exec-root", self._exec_root,
             "--host", f"unix://{self.socket}", "--pidfile", self.folder / "pid", "--storage-driver", driver, *MODEST],
            self.folder / f"log.{driver}")
        self._daemon.wait_for(lambda: self.docker("version", check=False).status == 0, 60, "dockerd")

    def docker(self, *arguments, check=True, seconds=180, folder=None):
        environment = {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": self.folder / "client",
                       "DOCKER_BUILDKIT": "0"}
        return run([DOCKER, *arguments], environment, seconds, check, folder)

    def build(self, tag, files, dockerfile):
        """docker build of {name: bytes}."""
        context = self.folder / "context"
        shutil.rmtree(context, ignore_errors=True)
        os.makedirs(context)
        for name, content in dict(files, Dockerfile=dockerfile.encode()).items():
            path = os.path.join(context, name)
            with open(path, "wb") as out:
                out.write(content)
            os.chmod(path, 0o755)
        return self.docker("build", "-t", tag, ".", folder=context)

    def run(self, image, *command):
        """What a container of the image says."""
        return self.docker("run", "--rm", "--network", "none", image, *command).out

    def log(self):
        return self._daemon.log()

    def _end(self):
        if self._daemon is not None:
            self._daemon.stop()
            end_pid_file(os.path.join(self._exec_root, "containerd", "containerd.pid"))

    def stop(self):
        self._end()
        self.folder.remove()
