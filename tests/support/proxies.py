# SPDX-License-Identifier: Apache-2.0
"""Real proxies in front of the server: nginx, HAProxy, Caddy, and a Go program that sends what Traefik sends."""

import os
import shutil
import socket
import subprocess

from .processes import Daemon
from .waiting import Folder, need, need_program

GO_PROXY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "forwarder.go")
STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

NGINX = """daemon off;
pid {folder}/pid;
error_log stderr notice;
{head}
events {{ worker_connections 256; }}
"""
NGINX_HTTP = """http {{
access_log off;
client_body_temp_path {folder}/body;
proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi;
scgi_temp_path {folder}/scgi;
{servers}
}}
"""
CADDY = """{{
    admin off
    auto_https disable_redirects
    skip_install_trust
}}
{sites}
"""


def free_port():
    """A port that nobody uses now: these proxies cannot be asked for any free one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Proxy:
    """Listens at 127.0.0.1:port when it is made. `command` is given the path of the configuration."""

    def __init__(self, name, port, configuration, command, environment=None):
        self.port = port
        self.folder = Folder(name)
        path = self.folder / name
        with open(path, "w", encoding="utf-8") as out:
            out.write(configuration.replace("{folder}", self.folder.path))
        if os.geteuid() == 0:
            os.chmod(self.folder.path, 0o755)
        self._daemon = Daemon(command(path), self.folder / "log", environment)
        try:
            self._daemon.wait_for(lambda: is_open(port), 30, name)
        except BaseException:
            self.stop()
            raise

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def log(self):
        return self._daemon.log()

    def stop(self):
        self._daemon.stop()
        self.folder.remove()


def _nginx(port, body, head=""):
    need_program("nginx")
    text = NGINX.replace("{head}", head + ("user root;" if os.geteuid() == 0 else "")).replace("{{", "{").replace(
        "}}", "}")
    return Proxy("nginx", port, text + body, lambda path: ["nginx", "-e", "stderr", "-c", path])


def nginx(port, servers):
    """`servers`: what stands inside http { }."""
    body = NGINX_HTTP.replace("{{", "{").replace("}}", "}").replace("{servers}", servers)
    return _nginx(port, body)


def nginx_stream(port, servers):
    """`servers`: what stands inside stream { }."""
    need(os.path.exists(STREAM_MODULE), "nginx with its stream module")
    return _nginx(port, "stream {\n" + servers + "\n}\n", f"load_module {STREAM_MODULE};\n")


def haproxy(port, configuration):
    need_program("haproxy")
    return Proxy("haproxy", port, configuration, lambda path: ["haproxy", "-db", "-f", path])


def caddy(port, sites):
    need_program("caddy")
    folder = Folder("caddy-home")
    proxy = Proxy("Caddyfile", port, CADDY.format(sites=sites),
                  lambda path: ["caddy", "run", "--adapter", "caddyfile", "--config", path],
                  {"HOME": folder.path, "XDG_DATA_HOME": folder.path, "XDG_CONFIG_HOME": folder.path})
    stop = proxy.stop

    def stop_all():
        stop()
        folder.remove()
    proxy.stop = stop_all
    return proxy


def forwarder(port, upstream, certificate=None, key=None):
    """httputil.ReverseProxy with the headers of Traefik; over TLS when there is a certificate."""
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    need(go, "Go", in_debian=False)
    folder = Folder("forwarder-build")
    try:
        program = folder / "forwarder"
        subprocess.run([go, "build", "-o", program, GO_PROXY], check=True, capture_output=True,
                       env=dict(os.environ, GOFLAGS="", GO111MODULE="off", GOCACHE=os.environ.get(
                           "GOCACHE", os.path.expanduser("~/.cache/go-build"))))
    except BaseException:
        folder.remove()
        raise
    proxy = Proxy("forwarder", port, "", lambda _: [program, f"127.0.0.1:{port}", upstream, certificate or "", key or ""])
    stop = proxy.stop

    def stop_all():
        stop()
        folder.remove()
    proxy.stop = stop_all
    return proxy
