#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measure a release build beside nginx and the bare chain of system calls, in one run, on this machine.

usage: tests/bench/bench.py [--build build/release] [--seconds 6] [--rounds 3] [ROW ...]

Rows: manifest head blob push idle memory burst cold. CPU is what the kernel accounts to the server's processes; every figure is the median of
the rounds, ours and the other's taken in turn, and their ratio. Needs wrk, ab (apache2-utils), nginx, and the program `chain` that the
release preset builds here.
"""
import argparse
import concurrent.futures
import hashlib
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")
OCI = "application/vnd.oci.image.manifest.v1+json"


def family(root):
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = pathlib.Path("/proc", name, "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu(root):
    total = 0
    for pid in family(root):
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / TICK


def pss_kib(root):
    total = 0
    for pid in family(root):
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))
        except (OSError, AttributeError):
            pass
    return total


class Entrepot:
    def __init__(self, binary, folder, workers=2, extra=()):
        self.binary = binary
        self.log = open(folder / "entrepot.log", "w+")
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", str(folder / "data"),
             "--workers", str(workers), "--user", "root", *extra],
            stderr=self.log, stdout=subprocess.DEVNULL)
        end = time.time() + 20
        while True:
            text = pathlib.Path(self.log.name).read_text()
            found = re.search(r"listen=([\d.]+):(\d+).*ready", text)
            if found:
                break
            if time.time() > end or self.process.poll() is not None:
                sys.exit("entrepot did not start:\n" + text)
            time.sleep(0.02)
        self.port = int(found.group(2))
        self.pid = self.process.pid

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(40)


class Nginx:
    def __init__(self, folder):
        self.folder = folder / "nginx"
        (self.folder / "files").mkdir(parents=True)
        probe = socket.socket()
        probe.bind(("127.0.0.1", 0))
        self.port = probe.getsockname()[1]
        probe.close()
        conf = self.folder / "nginx.conf"
        conf.write_text(
            f"user root; daemon off; worker_processes 2; pid {self.folder}/pid; error_log stderr;\n"
            "events { worker_connections 4096; }\n"
            f"http {{ sendfile on; tcp_nopush on; keepalive_requests 100000000; access_log {self.folder}/access.log;\n"
            f"  server {{ listen 127.0.0.1:{self.port}; root {self.folder}/files; }} }}\n")
        self.process = subprocess.Popen(["nginx", "-c", str(conf), "-p", str(self.folder)], stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        sys.exit("nginx did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Distribution:
    """The reference registry as a cache of nginx."""

    def __init__(self, binary, folder, upstream):
        folder.mkdir()
        probe = socket.socket()
        probe.bind(("127.0.0.1", 0))
        self.port = probe.getsockname()[1]
        probe.close()
        conf = folder / "config.yml"
        conf.write_text(f"version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\n"
                        f"storage: {{ filesystem: {{ rootdirectory: '{folder}/data' }} }}\nhttp: {{ addr: '127.0.0.1:{self.port}' }}\n"
                        f"proxy: {{ remoteurl: 'http://127.0.0.1:{upstream}' }}\n")
        self.process = subprocess.Popen([binary, "serve", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env=os.environ | {"OTEL_TRACES_EXPORTER": "none"})
        self.pid = self.process.pid
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        sys.exit("distribution did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def push_blob(connection, repository, data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    connection.request("POST", f"/v2/{repository}/blobs/uploads/", headers={"Content-Length": "0"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 202, answer.status
    location = answer.getheader("Location")
    connection.request("PATCH", location, body=data)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 202, answer.status
    location = answer.getheader("Location")
    connection.request("PUT", location + ("&" if "?" in location else "?") + "digest=" + digest,
                       headers={"Content-Length": "0"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 201, answer.status
    return digest


def push_image(port, repository, layer):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    config = push_blob(connection, repository, b"{}")
    digest = push_blob(connection, repository, layer)
    body = ('{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.image.config.v1+json",'
            '"digest":"%s","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"%s",'
            '"size":%d}]}' % (OCI, config, digest, len(layer))).encode()
    connection.request("PUT", f"/v2/{repository}/manifests/v1", body=body, headers={"Content-Type": OCI})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 201, answer.status
    return digest, body


def pull(port, path):
    """The number of bytes that came."""
    connection, buffer, total = http.client.HTTPConnection("127.0.0.1", port, timeout=120), bytearray(1 << 20), 0
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    while count := answer.readinto(buffer):
        total += count
    connection.close()
    return total


def wrk(port, path, connections, seconds):
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-H", f"Accept: {OCI}",
                          f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True).stdout
    count = int(re.search(r"(\d+) requests in", out).group(1))
    if "Non-2xx" in out or not count:
        sys.exit(out)
    return count


def ab(port, path, connections, seconds):
    out = subprocess.run(["ab", "-i", "-k", "-q", "-c", str(connections), "-t", str(seconds), "-n", "9999999", "-H",
                          f"Accept: {OCI}", f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True).stdout
    return int(re.search(r"Complete requests:\s+(\d+)", out).group(1))


def per_unit(server, load, unit):
    before = cpu(server.pid)
    count = load()
    return (cpu(server.pid) - before) / (count * unit)


class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="entrepot-bench-"))
        self.ours = Entrepot(str(pathlib.Path(options.build, "entrepot").resolve()), self.folder)
        self.nginx = Nginx(self.folder)
        self.idle_pss = pss_kib(self.ours.pid)

    def close(self):
        self.ours.stop()
        self.nginx.stop()
        shutil.rmtree(self.folder)

    def compare(self, name, ours, other, scale, unit, limit):
        mine, theirs = [], []
        for _ in range(self.options.rounds):
            mine.append(ours() * scale)
            theirs.append(other() * scale)
        a, b = statistics.median(mine), statistics.median(theirs)
        print(f"{name}: {a:.3g} {unit}, nginx {b:.3g} {unit}, ratio {a / b:.2f} ({limit})", flush=True)

    def manifest(self):
        _, body = push_image(self.ours.port, "bench/m", b"x" * 100)
        (self.nginx.folder / "files" / "m").write_bytes(body)
        s = self.options.seconds
        self.compare("GET manifest by tag, 64 connections, CPU a request",
                     lambda: per_unit(self.ours, lambda: wrk(self.ours.port, "/v2/bench/m/manifests/v1", 64, s), 1),
                     lambda: per_unit(self.nginx, lambda: wrk(self.nginx.port, "/m", 64, s), 1), 1e6, "us",
                     "at most 18 us and 0.65")

    def head(self):
        _, body = push_image(self.ours.port, "bench/m", b"x" * 100)
        (self.nginx.folder / "files" / "m").write_bytes(body)
        s = self.options.seconds
        self.compare("HEAD manifest by tag, CPU a request",
                     lambda: per_unit(self.ours, lambda: ab(self.ours.port, "/v2/bench/m/manifests/v1", 64, s), 1),
                     lambda: per_unit(self.nginx, lambda: ab(self.nginx.port, "/m", 64, s), 1), 1e6, "us", "at most 18 us")

    def blob(self):
        layer = os.urandom(1 << 20) * 64
        digest, _ = push_image(self.ours.port, "bench/blob", layer)
        (self.nginx.folder / "files" / "blob").write_bytes(layer)
        s = self.options.seconds
        self.compare("GET blob of 64 MiB, 8 connections, CPU a GB",
                     lambda: per_unit(self.ours, lambda: wrk(self.ours.port, f"/v2/bench/blob/blobs/{digest}", 8, s),
                                      len(layer) / 1e9),
                     lambda: per_unit(self.nginx, lambda: wrk(self.nginx.port, "/blob", 8, s), len(layer) / 1e9), 1, "s",
                     "at most 1.1")

    def push(self):
        """Against reading a socket, SHA-256 and writing a file, which every push must do."""
        size, mine, floor = 64 << 20, [], []
        for round_number in range(self.options.rounds):
            data = os.urandom(1 << 20) * 63 + os.urandom(1 << 20)
            before = cpu(self.ours.pid)
            for _ in range(4):
                data = os.urandom(16) + data[16:]
                push_blob(http.client.HTTPConnection("127.0.0.1", self.ours.port, timeout=120), "bench/push", data)
            mine.append((cpu(self.ours.pid) - before) / (4 * size / 1e9))
            floor.append(statistics.mean(self.floor(data, f"{round_number}.{i}") for i in range(4)))
        a, b = statistics.median(mine), statistics.median(floor)
        print(f"push of 64 MiB blobs, CPU a GB: {a:.2f} s, read+SHA-256+write {b:.2f} s, ratio {a / b:.2f} (at most 1.25)")

    def floor(self, data, name):
        """A new file each time, as a push makes one: pages that were never touched cost more than those of a file just truncated."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            theirs.close()
            ours.sendall(data)
            os._exit(0)
        ours.close()
        before, digest, buffer = time.process_time(), hashlib.sha256(), bytearray(256 << 10)
        with open(self.folder / f"floor.{name}", "wb", buffering=0) as out:
            while n := theirs.recv_into(buffer):
                digest.update(memoryview(buffer)[:n])
                out.write(memoryview(buffer)[:n])
        used = time.process_time() - before
        theirs.close()
        os.waitpid(pid, 0)
        return used / (len(data) / 1e9)

    def idle(self):
        before, sockets = pss_kib(self.ours.pid), []
        for _ in range(2000):
            s = socket.create_connection(("127.0.0.1", self.ours.port))
            s.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
            s.recv(4096)
            sockets.append(s)
        print(f"memory of an idle connection: {(pss_kib(self.ours.pid) - before) * 1024 / 2000:.0f} bytes (at most 1 KB)")
        for s in sockets:
            s.close()

    def mirror(self, sizes):
        """A second server whose upstream is nginx, which has a blob of each of these sizes: (server, paths of the blobs)."""
        folder = self.folder / f"mirror{len(sizes)}"
        blobs = self.nginx.folder / "files" / "v2" / "bench" / "cold" / "blobs"
        folder.mkdir()
        blobs.mkdir(parents=True, exist_ok=True)
        (folder / "entrepot.yaml").write_text(f"upstreams: {{ docker.io: {{ url: 'http://127.0.0.1:{self.nginx.port}', default: true }} }}\n")
        paths, seed = [], os.urandom(1 << 20)
        for number, size in enumerate(sizes):
            digest, left = hashlib.sha256(), size
            with open(blobs / "new", "wb") as out:
                piece = number.to_bytes(8, "big")
                while left:
                    piece = piece[:left]
                    digest.update(piece)
                    out.write(piece)
                    left, piece = left - len(piece), seed
            (blobs / "new").rename(blobs / f"sha256:{digest.hexdigest()}")
            paths.append(f"/v2/bench/cold/blobs/sha256:{digest.hexdigest()}")
        return Entrepot(self.ours.binary, folder, extra=["--config", str(folder / "entrepot.yaml")]), paths

    def burst(self):
        """Distinct blobs that nobody has pulled before, by 48 clients: what all processes take more than the idle server."""
        for count in (3000, 8000):
            server, paths = self.mirror([300_000] * count)
            self.burst_of("entrepot", server, paths)
            if self.options.distribution:
                other = Distribution(self.options.distribution, self.folder / f"distribution{count}", self.nginx.port)
                self.burst_of("distribution", other, paths)

    @staticmethod
    def burst_of(name, server, paths):
        idle, peak, begin = pss_kib(server.pid), 0, time.time()
        with concurrent.futures.ThreadPoolExecutor(48) as clients:
            done = [clients.submit(pull, server.port, path) for path in paths]
            while not all(future.done() for future in done):
                peak = max(peak, pss_kib(server.pid))
                time.sleep(0.1)
            assert all(future.result() == 300_000 for future in done)
        seconds = time.time() - begin
        time.sleep(3)
        after = pss_kib(server.pid)
        print(f"{name}: burst of {len(paths)} cold blobs of 300 KB in {seconds:.1f} s, PSS over idle: {(peak - idle) / 1024:.1f} MiB at the peak "
              f"(at most 24), {(after - idle) / 1024:.1f} after (at most 8)", flush=True)
        server.stop()

    def cold(self):
        """One large blob that nobody has pulled before."""
        rates = []
        for _ in range(self.options.rounds):
            server, (path,) = self.mirror([1 << 30])
            begin = time.time()
            assert pull(server.port, path) == 1 << 30
            rates.append((1 << 30) / (time.time() - begin) / 1e6)
            server.stop()
            shutil.rmtree(self.folder / "mirror1")
        print(f"one cold blob of 1 GiB: {statistics.median(rates):.0f} MB/s", flush=True)

    def memory(self):
        print(f"memory of the idle server, PSS: {self.idle_pss / 1024:.1f} MiB (at most 14 MB)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--distribution", metavar="PROGRAM", help="the reference registry's program, for the row burst beside ours")
    parser.add_argument("rows", nargs="*", default=[])
    options = parser.parse_args()
    bench = Bench(options)
    try:
        for row in options.rows or ["memory", "manifest", "head", "blob", "push", "idle", "burst", "cold"]:
            getattr(bench, row)()
    finally:
        bench.close()


main()
