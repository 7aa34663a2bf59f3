# SPDX-License-Identifier: Apache-2.0
"""The pages that say what to write on clients are followed, block by block, on stock machines with the real clients.

HOST on the pages becomes the address of the machine under test. What comes through us is in our access log; whatever
does not, cannot come at all, for these machines have no way out, and are told so at the registries' own addresses.
"""

import contextlib
import os
import pty
import shlex
import socket
import subprocess
import threading
import time
import unittest
from string import Template

from support import images
from support.case import Scenario
from support.client import Client, check_ok, check_status
from support.dockerd import need_docker
from support.gotools import gotool
from support.machine import HOST, PASS_ON, DockerUnit, Machine, Unit, leave_this_machine
from support.modern import ENGINE, modern_environment
from support.page import read_blocks
from support.podman import need_podman
from support.server import ROOT, binary, environment
from support.waiting import need_program, slow_factor, wait_until

PORT = 32000
CLIENTS = "docs/clients.md"
NOT_RUN = {  # (page, section): why
    ("README.md", "Entrepot"): "a picture",
    ("README.md", "Prove it"): "this test is a part of it",
}


def setUpModule():
    for tool in (*ENGINE, "crictl", "registries"):
        with contextlib.suppress(unittest.SkipTest, AssertionError):
            gotool(tool)  # later it cannot be built; the tests that need it say so
    leave_this_machine()


class Elsewhere:
    """Takes the place of registries, counts who comes, and hangs up."""

    def __init__(self, machine, *names):
        self.count = 0
        self._socket = socket.create_server(("127.0.0.1", 443))
        machine.write("/etc/hosts", f"127.0.0.1 {' '.join(names)}\n", True)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.count += 1
            connection.close()

    def stop(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Follower:
    """Does on self.machine what sections of a page say."""

    page = CLIENTS
    sections = ()  # of the page, that this class follows

    def blocks(self, section):
        self.assertIn(section, self.sections)
        found = [block for block in read_blocks(self.page) if block.section == section]
        self.assertTrue(found, f"{self.page} has no code under {section}")
        return found

    @staticmethod
    def here(text):
        return text.replace("HOST", HOST)

    def follow(self, *sections, files_only=False):
        for section in sections:
            for block in self.blocks(section):
                if block.file:
                    self.machine.write(self.here(block.file), self.here(block.text), block.is_addition)
                elif not files_only:
                    self.run_commands(block)

    def run_commands(self, block):
        for command, expected in block.commands():
            result = self.command(self.here(command))
            if expected:
                self.assertEqual(result.out.strip(), self.here(expected).strip(), command)

    def command(self, line):
        return self.machine.command(line)

    def pulls(self, image, origin, agent):
        """The access lines of pulls of this image's layer by that client."""
        return [line for line in self.registry.log.access(method="GET", ref=image.layers[0], origin=origin)
                if line["status"] in ("200", "206") and line["agent"].lower().startswith(agent.lower())]

    def check_pulled(self, image, origin, agent, count=1):
        """Returns the last line."""
        wait_until(lambda: len(self.pulls(image, origin, agent)) >= count, 5,
                   lambda: f"{agent} did not pull through us:\n{self.registry.log.tail()}")
        return self.pulls(image, origin, agent)[-1]


class RecipeScenario(Scenario, Follower):
    """Entrepot on HOST:32000, in front of a Docker Hub that has nginx and a ghcr.io that has org/tool."""

    def setUp(self):
        self.docker, self.ghcr = self.hub(), self.hub()
        self.nginx = self.docker.publish("library/nginx", "latest", images.hello_image("nginx", ["amd64", "arm64"]))
        self.tool = self.ghcr.publish("org/tool", "1", images.hello_image("a tool"))
        self.app = images.hello_image("our own")
        upstreams = {"docker.io": self.docker, "ghcr.io": {"url": self.ghcr.url, "ca_file": self.ghcr.ca_file}}
        self.registry = self.server(upstreams=upstreams, listens=f"0.0.0.0:{PORT}")
        self.api = self.client(self.registry)
        self.machine = self.daemon(Machine())
        self.elsewhere = self.daemon(Elsewhere(self.machine, "registry-1.docker.io", "quay.io"))

    def check_refused(self, command):
        self.assertNotEqual(self.machine.command(self.here(command), check=False).status, 0, command)

    def check_goes_on(self, command):
        """What we do not have, or cannot give any more, is wanted from the registry itself."""
        for stop in (lambda: None, self.registry.stop):
            stop()
            self.elsewhere.count = 0
            self.check_refused(command)
            self.assertGreater(self.elsewhere.count, 0)

    def check_nothing_came(self):
        self.assertEqual(self.registry.log.access(status=200), [], self.registry.log.tail())

    def check_pushed(self, name="app", tag="1"):
        self.assertEqual(self.api.tags(name).json(), {"name": name, "tags": [tag]})


class DockerTest(RecipeScenario):
    sections = ("Docker",)

    def docker_unit(self):
        return DockerUnit(self.machine)

    def setUp(self):
        need_docker()
        super().setUp()
        self.machine.units["docker"] = self.docker_unit()

    def test_page(self):
        self.follow("Docker")
        self.check_pulled(self.nginx, "docker.io", "docker")
        self.check_pulled(self.tool, "ghcr.io", "docker")
        self.check_pushed()
        self.check_goes_on("docker pull nobody/nothing")

    def test_without(self):
        """Stock Docker comes by none of the two ways."""
        self.check_refused("docker pull nginx")
        self.check_refused("docker pull HOST:32000/docker.io/library/nginx")
        self.check_nothing_came()


class ModernDockerTest(DockerTest):
    def docker_unit(self):
        return DockerUnit(self.machine, gotool("dockerd"), {**self.machine.environment, **modern_environment()})


OLD, NEW, GENERATED = ("The configuration has `version = 2` and no `config_path`",
                       "The configuration has `version = 3` and no `config_path`, or there is none",
                       "The configuration has an empty `config_path`")
HUB, OWN, OFF, CTR = ("Docker Hub through Entrepot", "Your own images", "When Entrepot's machine is off", "ctr")


class ContainerdScenario(RecipeScenario):
    """A node whose images the kubelet wants from containerd's CRI; its part is played by crictl."""

    sections = (OLD, NEW, GENERATED, HUB, OWN, OFF, CTR)
    agent = "containerd/"

    def setUp(self):
        need_program("containerd", "ctr")
        super().setUp()
        self.api.push("app", "1", self.app)
        self.machine.install("crictl", gotool("crictl"))

    def run_containerd(self, *flags, **options):
        return Unit(self.machine, ["/usr/bin/containerd", *flags], "crictl info", **options)

    def run_modern(self, *flags, **options):
        self.machine.install("ctr", gotool("ctr"))
        environment = {**self.machine.environment, **modern_environment()}
        return Unit(self.machine, [gotool("containerd"), *flags], "crictl info", environment, **options)

    def check_all_came(self):
        self.check_pulled(self.nginx, "docker.io", self.agent)
        self.check_pulled(self.tool, "ghcr.io", self.agent)
        self.check_pulled(self.app, "", self.agent)


class ContainerdTest(ContainerdScenario):
    """Each begins with containerd running as it was installed."""

    def test_old(self):
        self.machine.units["containerd"] = self.run_containerd()
        self.follow(OLD, HUB, OWN)
        self.check_all_came()
        self.check_goes_on("crictl pull nobody/nothing")

    def test_old_generated(self):
        self.machine.command("containerd config default >/etc/containerd/config.toml")
        self.machine.units["containerd"] = self.run_containerd()
        self.follow(GENERATED, HUB, OWN, CTR)
        self.check_all_came()

    def test_new(self):
        self.machine.command("rm -r /etc/containerd")
        self.machine.units["containerd"] = self.run_modern()
        self.machine.write("/etc/containerd/config.toml", "version = 3\n")
        self.follow(NEW, HUB, OWN)
        self.check_all_came()

    def test_new_generated(self):
        self.machine.command(f"{gotool('containerd')} config default >/etc/containerd/config.toml")
        self.machine.units["containerd"] = self.run_modern()
        self.follow(GENERATED, HUB, OWN, CTR)
        self.check_all_came()

    def test_new_with_the_configuration_of_the_old(self):
        self.machine.units["containerd"] = self.run_modern()
        self.follow(OLD, HUB, OWN)
        self.check_all_came()

    def test_machine_is_off(self):
        """For one that gives no answer at all; a line that containerd 1.6 does not know does no harm."""
        silent = "10.9.9.9"
        self.machine.command(f"busybox ip route replace {silent}/32 dev lo")
        self.machine.write("/etc/containerd/config.toml", "version = 3\n")
        self.follow(NEW, OFF, files_only=True)
        hosts = "/etc/containerd/certs.d/docker.io/hosts.toml"
        usual = self.machine.read(hosts)
        modern = self.run_modern()
        self.machine.write(hosts, usual.replace(HOST, silent))
        began = time.monotonic()
        self.check_refused("crictl pull nginx")
        self.assertLess(time.monotonic() - began, 20 * slow_factor())
        self.assertGreater(self.elsewhere.count, 0)
        modern.stop()
        self.machine.write("/etc/containerd/config.toml", "version = 2\n")
        self.follow(OLD, files_only=True)
        self.machine.write(hosts, usual)
        self.machine.units["containerd"] = self.run_containerd()
        self.machine.command("crictl pull nginx")
        self.check_pulled(self.nginx, "docker.io", self.agent)

    def test_without_config_path(self):
        """What a stock node does with hosts.toml files."""
        for start in (self.run_containerd, self.run_modern):
            unit = start()
            self.follow(HUB, OWN, files_only=True)
            for image in ("nginx", "ghcr.io/org/tool:1", "HOST:32000/app:1"):
                self.check_refused(f"crictl pull {image}")
            unit.stop()
        self.check_nothing_came()

    def test_without_restart(self):
        self.machine.units["containerd"] = self.run_containerd()
        self.follow(OLD, HUB, files_only=True)
        self.check_refused("crictl pull nginx")
        self.check_nothing_came()
        self.machine.command("sudo systemctl restart containerd")
        self.machine.command("crictl pull nginx")
        self.check_pulled(self.nginx, "docker.io", self.agent)

    def test_without_a_file_for_our_own(self):
        self.machine.units["containerd"] = self.run_containerd()
        self.follow(OLD, HUB)
        self.check_refused("crictl pull HOST:32000/app:1")
        self.assertEqual(self.pulls(self.app, "", self.agent), [])

    def test_ctr_without_hosts_dir(self):
        self.machine.units["containerd"] = self.run_containerd()
        self.follow(OLD)
        self.follow(HUB, files_only=True)
        self.check_refused("ctr images pull docker.io/library/nginx:latest")
        self.check_nothing_came()


K3S_HOSTS = "/var/lib/rancher/k3s/agent/etc/containerd/certs.d"
K3S_CONFIG = f"""version = 3
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "{K3S_HOSTS}"
"""


class K3sTest(ContainerdScenario):
    """k3s makes containerd's files from registries.yaml when it starts."""

    sections = ("k3s and RKE2",)
    FILE = "/etc/rancher/k3s/registries.yaml"

    def setUp(self):
        super().setUp()
        self.machine.program("k3s", PASS_ON)  # it brings a crictl of its own
        self.machine.write("/run/k3s.toml", K3S_CONFIG)
        self.machine.units["k3s"] = self.run_modern("--config", "/run/k3s.toml", prepare=self.make_hosts)

    def make_hosts(self):
        self.machine.command(f"rm -rf {K3S_HOSTS}")
        if os.path.exists(self.FILE):
            self.machine.command(f"{gotool('registries')} hosts {self.FILE} {K3S_HOSTS}")

    def files(self):
        return [block for block in self.blocks("k3s and RKE2") if block.file]

    def test_page(self):
        self.follow("k3s and RKE2")
        self.check_all_came()
        self.assertEqual([block.file for block in self.files()], [self.FILE, self.FILE])

    def test_every_registry(self):
        self.machine.write(self.FILE, self.here(self.files()[1].text))
        self.machine.command("sudo systemctl restart k3s")
        for image in ("nginx", "ghcr.io/org/tool:1", "HOST:32000/app:1"):
            self.machine.command(self.here(f"k3s crictl pull {image}"))
        self.check_all_came()
        self.check_goes_on("k3s crictl pull quay.io/nobody/nothing:1")

    def test_by_its_library(self):
        """As k3s and RKE2 pull images of their own."""
        for number, block in enumerate(self.files()):
            self.machine.write(self.FILE, self.here(block.text))
            for image, name in ((self.nginx, "nginx"), (self.tool, "ghcr.io/org/tool:1"),
                                (self.app, f"{HOST}:{PORT}/app:1")):
                told = self.machine.command(f"{gotool('registries')} pull {self.FILE} {name}").out
                self.assertTrue(told.startswith("sha256:"), told)
                origin = {"nginx": "docker.io", "ghcr.io/org/tool:1": "ghcr.io"}.get(name, "")
                self.check_pulled(image, origin, "go-containerregistry", number + 1)

    def test_without(self):
        self.check_refused("k3s crictl pull nginx")
        self.machine.write(self.FILE, self.here(self.files()[0].text))
        self.check_refused("k3s crictl pull nginx")  # a restart is needed
        self.check_nothing_came()


SNAP_DATA = "/var/snap/microk8s/current"
SNAP_COMMON = "/var/snap/microk8s/common"
SHIPPED = os.path.join(ROOT, "tests/scenario/microk8s")


class MicroK8sTest(ContainerdScenario):
    sections = ("MicroK8s",)

    def setUp(self):
        super().setUp()
        template = Template(self.machine.read(f"{SHIPPED}/containerd-template.toml"))
        self.machine.write(f"{SNAP_DATA}/args/containerd.toml", template.substitute(
            SNAP_DATA=SNAP_DATA, SNAPSHOTTER="overlayfs", RUNTIME="runc", RUNTIME_TYPE="io.containerd.runc.v2"))
        for name in ("docker.io", "localhost:32000"):
            shipped = self.machine.read(f"{SHIPPED}/certs.d/{name.replace(':', '__')}/hosts.toml")
            self.machine.write(f"{SNAP_DATA}/args/certs.d/{name}/hosts.toml", shipped)
        socket = f"{SNAP_COMMON}/run/containerd.sock"
        self.machine.write("/etc/crictl.yaml", f"runtime-endpoint: unix://{socket}\n")
        self.flags = ("--config", f"{SNAP_DATA}/args/containerd.toml", "--root", f"{SNAP_COMMON}/var/lib/containerd",
                      "--state", f"{SNAP_COMMON}/run/containerd", "--address", socket)

    def check_page(self):
        self.machine.command("crictl pull localhost:32000/app:1")  # by the shipped file
        self.check_refused("crictl pull nginx")
        self.check_refused("crictl pull HOST:32000/app:1")
        self.assertEqual(self.pulls(self.nginx, "docker.io", self.agent), [])
        self.follow("MicroK8s")
        self.machine.command("crictl pull nginx")
        self.machine.command(self.here("crictl pull HOST:32000/app:1"))
        self.check_pulled(self.nginx, "docker.io", self.agent)
        self.check_pulled(self.app, "", self.agent)

    def test_page(self):
        self.machine.units["microk8s"] = self.run_containerd(*self.flags)
        self.check_page()

    def test_page_with_todays_containerd(self):
        self.machine.units["microk8s"] = self.run_modern(*self.flags)
        self.check_page()


class PodmanTest(RecipeScenario):
    sections = ("podman, buildah, skopeo",)

    def setUp(self):
        need_podman()
        need_program("skopeo")
        super().setUp()

    def test_page(self):
        self.follow("podman, buildah, skopeo")
        self.check_pulled(self.nginx, "docker.io", "containers/")  # podman
        self.check_pulled(self.nginx, "docker.io", "skopeo/")
        self.check_pulled(self.tool, "ghcr.io", "Buildah/")
        self.check_pushed()
        self.check_goes_on("podman pull docker.io/nobody/nothing")

    def test_without(self):
        for command in ("podman pull docker.io/library/nginx", "podman pull HOST:32000/docker.io/library/nginx",
                        "skopeo copy docker://docker.io/library/nginx dir:nginx",
                        "skopeo list-tags docker://HOST:32000/app"):
            self.check_refused(command)
        self.check_nothing_came()


class LogTest(RecipeScenario):
    sections = ("Did it come through Entrepot?",)

    def test_page(self):
        told = self.blocks("Did it come through Entrepot?")
        self.assertEqual([block.kind for block in told], ["text", "text"])
        for block in told:  # the first pull, the second
            check_ok(self.api.manifest("library/nginx", "latest"))
            check_ok(self.api.blob("library/nginx", self.nginx.layers[0]))
            fields = dict(field.split("=") for field in block.text.split() if "=" in field)
            self.registry.log.wait(lambda line, fields=fields: line.has(**fields), 5, block.text)
            self.registry.settle()


FIRST, SEVERAL, ACCOUNT = ("From zero to the first pull", "For several machines", "With an account at the upstream")


class ReadmeTest(Scenario, Follower):
    """The program is started as the page says, but for where its upstreams are."""

    page = "README.md"
    sections = (FIRST, SEVERAL, ACCOUNT)

    def setUp(self):
        need_docker()
        self.docker, self.ghcr = self.hub(users={"somebody": "secret"}), self.hub()
        self.nginx = self.docker.publish("library/nginx", "latest", images.hello_image("nginx", ["amd64", "arm64"]))
        self.tool = self.ghcr.publish("org/tool", "1", images.hello_image("a tool"))
        self.machine = self.daemon(Machine())
        self.machine.units["docker"] = DockerUnit(self.machine)
        self.registry = self.server(start=False)

    def command(self, line):
        """packaging/run builds the program and runs it; here it is built already."""
        name, *arguments = shlex.split(line)
        if name != "packaging/run":
            return super().command(line)
        if arguments and not arguments[0].startswith("-"):
            return self.machine.command(shlex.join([binary(), *arguments]))
        if self.registry.process:
            self.registry.stop()
        return self.registry.start(flags=arguments + self.where_upstreams_are())

    def where_upstreams_are(self):
        flags = []
        config = self.machine.read("/etc/entrepot/entrepot.yaml")
        for name, hub in (("docker.io", self.docker), ("ghcr.io", self.ghcr)):
            place = f"upstreams.{name}"
            if name == "docker.io" or name in config:
                flags += ["--set", f"{place}.url={hub.url}", "--set", f"{place}.ca_file={hub.ca_file}"]
        return flags

    def test_from_zero_to_the_first_pull(self):
        self.follow(FIRST)
        self.check_pulled(self.nginx, "docker.io", "docker/")
        self.machine.command("docker rmi -f nginx localhost:32000/app:1")
        self.docker.down()
        self.machine.command("docker pull nginx")
        self.assertEqual(self.check_pulled(self.nginx, "docker.io", "docker/", 2)["source"], "disk")

    def test_for_several_machines(self):
        self.follow(SEVERAL)
        self.check_pulled(self.nginx, "docker.io", "docker/")
        self.assertEqual(self.registry.listens, [PORT, 32080])
        self.assertEqual(Client(PORT).tags("app").json()["tags"], ["1"])
        check_status(Client(32080).request("POST", "/v2/app/blobs/uploads/"), 405)
        check_status(Client(32080).manifest("app", "1"), 404)
        check_ok(Client(PORT, ns="ghcr.io").manifest("org/tool", "1"))
        check_ok(Client(PORT, prefix="ghcr.io/").manifest("org/tool", "1"))

    def test_with_an_account(self):
        self.docker.publish("somebody/secret", "1", images.hello_image("secret"), private=True)
        self.machine.write("/etc/entrepot/docker.io.password", "secret\n")
        os.chmod("/etc/entrepot/docker.io.password", 0o600)
        self.follow(ACCOUNT)
        self.command("packaging/run")
        check_ok(Client(PORT).manifest("somebody/secret", "1"))
        text = self.machine.read("/etc/entrepot/entrepot.yaml")
        self.machine.write("/etc/entrepot/entrepot.yaml", text.replace("expose: true", "expose: false"))
        self.command("packaging/run --data /var/lib/another")
        self.assertGreaterEqual(Client(PORT).manifest("somebody/secret", "1").status, 400)

    def welcome(self, *flags):
        """What a person at a terminal is told."""
        ours, theirs = pty.openpty()
        os.set_blocking(ours, False)
        process = subprocess.Popen([binary(), "serve", *flags], stdin=subprocess.DEVNULL, stderr=theirs,
                                   env=environment())
        os.close(theirs)
        said = []

        def look():
            try:
                said.append(os.read(ours, 65536).decode())
            except BlockingIOError:
                pass
            return "docs/clients.md" in "".join(said)

        try:
            wait_until(look, 30, lambda: "".join(said))
        finally:
            process.terminate()
            process.wait()
            os.close(ours)
        return "".join(said)

    def test_what_a_terminal_is_told(self):
        told = self.welcome("--listen", f"0.0.0.0:{PORT}")
        self.assertIn(f'"registry-mirrors": ["http://{HOST}:{PORT}"], "insecure-registries": ["{HOST}:{PORT}"]', told)
        self.assertIn(f'[host."http://{HOST}:{PORT}"]', told)
        self.assertIn(f"docker push {HOST}:{PORT}/NAME", told)
        self.assertNotIn("localhost", told)
        told = self.welcome("--listen", f"localhost:{PORT}")
        self.assertIn(f'{{ "registry-mirrors": ["http://localhost:{PORT}"] }}', told)
        self.assertIn("Only this machine can use it", told)
        told = self.welcome("--listen", f"{HOST}:{PORT}")
        self.assertIn(f'"registry-mirrors": ["http://{HOST}:{PORT}"]', told)


class CompletenessTest(unittest.TestCase):
    def test_all_blocks_are_followed(self):
        """Each section with code is followed by a test, or is in the list with its reason."""
        followed = {(case.page, section) for case in CASES for section in case.sections}
        written = {(page, block.section) for page in ("README.md", CLIENTS) for block in read_blocks(page)}
        self.assertEqual(written, followed | set(NOT_RUN))


CASES = (DockerTest, ContainerdTest, K3sTest, MicroK8sTest, PodmanTest, LogTest, ReadmeTest)


if __name__ == "__main__":
    unittest.main()
