#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measure what freeing much space costs those who pull and push meanwhile, with a release build, on this machine.

blobs: 263,000 blobs that nobody needs, of 4 KiB each: how long until they are gone, by how much the p99 of pulls grows,
and whether the bytes that the server counts are those that the disk has got back.
images: 100,000 images with ten layers each (a million links) at once: p99.9 of pulls and pushes with and without."""

import argparse
import hashlib
import http.client
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

REPOSITORY = "measured/app"


class Server:
    def __init__(self, binary, folder):
        self.folder = folder
        self.file = os.path.join(folder, "entrepot.yaml")
        self.binary = binary
        self.configure("1h")
        self.log = open(os.path.join(folder, "log"), "w+", encoding="utf-8")
        began = time.monotonic()
        self.process = subprocess.Popen([binary, "serve", "--config", self.file], stderr=self.log, stdout=self.log)
        self.port = self.admin = None
        while not self.port:
            assert self.process.poll() is None, "the server has ended"
            with open(self.log.name, encoding="utf-8") as lines:
                found = re.search(r"listen=127.0.0.1:(\d+) admin=127.0.0.1:(\d+)", lines.read())
            if found:
                self.port, self.admin = map(int, found.groups())
        assert self.ask("GET", "/v2/")[0] == 200
        self.start_seconds = time.monotonic() - began

    def configure(self, grace):
        with open(self.file, "w", encoding="utf-8") as out:
            out.write(f"listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 2\nuser: root\nupstreams: {{}}\n"
                      f"storage: {{ path: {self.folder}/data, grace: {grace} }}\nlog: {{ level: warn }}\n".replace(
                          "level: warn", "level: info"))

    def reload(self, grace):
        self.configure(grace)
        self.process.send_signal(signal.SIGHUP)

    def ask(self, method, path, body=None, headers=None, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=60)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content, answer.headers

    def metric(self, name):
        text = self.ask("GET", "/metrics", port=self.admin)[1].decode()
        return sum(float(value) for value in re.findall(rf"^entrepot_{name}{{[^}}]*}} (\S+)$", text, re.M))

    def push_blob(self, content):
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        status = self.ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/?digest={digest}", content,
                          {"Content-Type": "application/octet-stream"})[0]
        assert status == 201, status
        return digest

    def push_image(self, layer):
        """The digest of the layer, which an image needs from now on."""
        def descriptor(kind, content):
            return f'{{"mediaType":"{kind}","digest":"{self.push_blob(content)}","size":{len(content)}}}'
        manifest = ('{"schemaVersion":2,"config":' + descriptor("application/vnd.oci.image.config.v1+json", b"{}") +
                    ',"layers":[' + descriptor("application/vnd.oci.image.layer.v1.tar", layer) + "]}")
        status = self.ask("PUT", f"/v2/{REPOSITORY}/manifests/1", manifest,
                          {"Content-Type": "application/vnd.oci.image.manifest.v1+json"})[0]
        assert status == 201, status
        return "sha256:" + hashlib.sha256(layer).hexdigest()

    def peak_mib(self):
        pids = [self.process.pid, *map(int, subprocess.run(["pgrep", "-P", str(self.process.pid)], check=False,
                                                           capture_output=True, text=True).stdout.split())]
        peaks = []
        for pid in pids:
            with open(f"/proc/{pid}/status", encoding="ascii") as status:
                peaks.append(int(re.search(r"RssAnon:\s+(\d+)", status.read()).group(1)))
        return max(peaks) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Load:
    """One client that pulls, one that pushes, until stop(); their times in ms."""

    def __init__(self, server, digest):
        self.server, self.digest = server, digest
        self.pulls, self.pushes = [], []
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self.pull), threading.Thread(target=self.push)]
        for thread in self.threads:
            thread.start()

    def timed(self, into, call):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        while not self.ends.is_set():
            began = time.monotonic()
            call(connection)
            into.append((time.monotonic() - began) * 1000)
            time.sleep(0.001)
        connection.close()

    def pull(self):
        def call(connection):
            connection.request("GET", f"/v2/{REPOSITORY}/blobs/{self.digest}")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
        self.timed(self.pulls, call)

    def push(self):
        def call(connection):
            content = os.urandom(1000)
            digest = "sha256:" + hashlib.sha256(content).hexdigest()
            connection.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/?digest={digest}", content,
                               {"Content-Type": "application/octet-stream"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 201, answer.status
        self.timed(self.pushes, call)

    def stop(self):
        self.ends.set()
        for thread in self.threads:
            thread.join()
        return self


def percentile(values, part):
    values = sorted(values)
    return values[min(int(len(values) * part), len(values) - 1)]


def describe(name, values):
    return f"{name}: {len(values)} times, p50 {percentile(values, .5):.2f}, p99 {percentile(values, .99):.2f}, p99.9 {percentile(values, .999):.1f}, longest {max(values):.1f} ms"


def free_bytes(folder):
    found = os.statvfs(folder)
    return found.f_bfree * found.f_frsize


def measure(options, kind, count, size):
    folder = tempfile.mkdtemp(prefix="entrepot-space-", dir=options.folder)
    try:
        began = time.monotonic()
        subprocess.run([f"{options.build}/tests/bench/fill", f"{folder}/data", kind, str(count), str(size)], check=True)
        print(f"{kind}: {count} made in {time.monotonic() - began:.0f} s", flush=True)
        server = Server(f"{options.build}/entrepot", folder)
        print(f"start to the first answer: {server.start_seconds:.2f} s")
        digest = server.push_image(b"pulled all the time")
        load = Load(server, digest)
        time.sleep(options.seconds)
        load.stop()
        print(describe("pulls before", load.pulls))
        print(describe("pushes before", load.pushes))
        os.sync()
        free = free_bytes(folder)
        load = Load(server, digest)
        server.reload("1s")
        began = time.monotonic()
        wanted = count if kind == "blobs" else count + 100 * size
        while server.metric("collected_blobs_total") < wanted:
            assert time.monotonic() - began < 600, "it takes too long"
            time.sleep(0.2)
        seconds = time.monotonic() - began
        load.stop()
        print(f"gone after {seconds:.1f} s; largest process {server.peak_mib():.0f} MiB (anonymous)")
        print(describe("pulls meanwhile", load.pulls))
        print(describe("pushes meanwhile", load.pushes))
        if kind == "blobs":
            os.sync()
            time.sleep(1)
            freed = free_bytes(folder) - free
            counted = server.metric("collected_bytes_total")
            print(f"counted {counted / 1e6:.1f} MB, the disk has {freed / 1e6:.1f} MB more: {freed / counted:.3f}")
        server.stop()
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--folder", help="where the data are made; the default is the folder for temporary files")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("rows", nargs="*", default=["blobs", "images"])
    options = parser.parse_args()
    if "blobs" in options.rows:
        measure(options, "blobs", 263000, 4096)
    if "images" in options.rows:
        measure(options, "images", 100000, 10)


main()
