# SPDX-License-Identifier: Apache-2.0
"""Clients that no distribution has in the version wanted: built from their Go modules when first asked for, kept in
gotools/ beside the program under test (or in ENTREPOT_GOTOOLS). Without Go or its modules the test is skipped; on CI
a module that Go cannot build is a failure. Programs of our own, written with somebody's module, are folders beside
this file."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess

from .network import outside
from .processes import run
from .server import binary
from .waiting import Folder, need, slow_factor

INSTALL_SECONDS = 480  # for one, with nothing in Go's own cache

MODULES = {
    "crane": ("github.com/google/go-containerregistry/cmd/crane", "v0.22.1"),
    "oras": ("oras.land/oras/cmd/oras", "v1.3.6"),
    "regctl": ("github.com/regclient/regclient/cmd/regctl", "v0.11.7"),
    "runc": ("github.com/opencontainers/runc", "v1.5.2"),
    "containerd-shim-runc-v2": ("github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", "v2.4.2"),
    "ctr": ("github.com/containerd/containerd/v2/cmd/ctr", "v2.4.2"),
    "containerd": ("github.com/containerd/containerd/v2/cmd/containerd", "v2.4.2"),
    "dockerd": ("github.com/moby/moby/v2/cmd/dockerd", "v2.0.0-beta.24"),
    "conformance": ("github.com/opencontainers/distribution-spec/conformance", "v0.0.0-20260831232431-97274622c111"),
    "crictl": ("sigs.k8s.io/cri-tools/cmd/crictl", "v1.34.0"),
}
OURS = ("registries",)
WITH_C = ("runc",)

_failed = {}


def root():
    return os.environ.get("ENTREPOT_GOTOOLS") or os.path.join(os.path.dirname(binary()), "gotools")


def gotool(name):
    """The path of that program; builds it if it is not there yet."""
    path, version = (_source(name), _state_of(_source(name))) if name in OURS else MODULES[name]
    folder = os.path.join(root(), f"{name}@{version}")
    program = os.path.join(folder, name)
    if not os.path.exists(program):
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, ".lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(program):
                _install(name, f"{path}@{version}", folder)
    return program


def _source(name):
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), name)


def _state_of(source):
    """Another one after each change."""
    state = hashlib.sha256()
    for entry in sorted(os.listdir(source)):
        with open(os.path.join(source, entry), "rb") as content:
            state.update(content.read())
    return state.hexdigest()[:12]


def gotools(*names):
    """A folder with these programs, to be first in a PATH."""
    programs = [gotool(name) for name in names]
    folder = os.path.join(root(), "together")
    os.makedirs(folder, exist_ok=True)
    for program in programs:
        link = os.path.join(folder, os.path.basename(program))
        if not os.path.islink(link) or os.readlink(link) != program:
            fresh = f"{link}.{os.getpid()}"
            os.symlink(program, fresh)
            os.replace(fresh, link)
    return folder


def _go():
    """Go's own installer does not touch the PATH."""
    return shutil.which("go") or shutil.which("/usr/local/go/bin/go")


def _install(name, module, folder):
    need(_go(), f"Go to build {module}", in_debian=False)
    if module not in _failed:
        _failed[module] = _build(name, module, folder)
    need(not _failed[module], f"{module}, which could not be built: {_failed[module]}")


def _build(name, module, folder):
    """What went wrong, or nothing. Built beside and moved, so that nobody sees half of it."""
    place = os.path.join(folder, "new")
    environment = dict(os.environ, GOBIN=place, CGO_ENABLED="1" if name in WITH_C else "0", GOFLAGS="", GOWORK="off")
    source, module = (_source(name), ".") if name in OURS else (None, module)
    command = [_go(), "install", "-p", "2", "-trimpath", "-ldflags=-s -w", module]
    try:
        done = subprocess.run(outside(command), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=INSTALL_SECONDS * slow_factor(), check=False,
                              cwd=source)
    except subprocess.TimeoutExpired:
        return f"not within {INSTALL_SECONDS} s"
    if done.returncode != 0:
        return done.stdout.decode("utf-8", "replace")[-2000:].strip() or f"exit {done.returncode}"
    os.replace(os.path.join(place, name), os.path.join(folder, name))
    return ""


class GoTool:
    """One of crane, oras and regctl, with a home of its own, in which its commands run."""

    def __init__(self, name, plain=()):
        self.name = name
        self.program = gotool(name)
        self.folder = Folder(name)
        self._environment = {"HOME": self.folder.path, "DOCKER_CONFIG": self.folder / "docker",
                             "XDG_CACHE_HOME": self.folder / "cache", "REGCTL_CONFIG": self.folder / "regctl.json"}
        hosts = {registry: {"tls": "disabled", "hostname": registry} for registry in plain}
        self.write("regctl.json", json.dumps({"hosts": hosts}).encode())

    def run(self, *arguments, check=True, seconds=120, stdin="/dev/null"):
        shell = ["sh", "-c", 'input=$1; shift; exec "$@" <"$input"', "sh", stdin]
        return run([*shell, self.program, *arguments], self._environment, seconds, check, self.folder.path)

    def __call__(self, *arguments, **options):
        """What it said, without the last line's end."""
        return self.run(*arguments, **options).out.strip()

    def write(self, name, content):
        path = self.folder / name
        with open(path, "wb") as out:
            out.write(content)
        return path

    def read(self, name):
        with open(self.folder / name, "rb") as source:
            return source.read()

    def stop(self):
        self.folder.remove()
