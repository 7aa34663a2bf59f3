# SPDX-License-Identifier: Apache-2.0
"""Each text about a mistake in a command line, the environment or a configuration file: what, where, and what to do."""

import glob
import json
import os
import re
import shutil
import socket
import subprocess
import unittest

from support.case import Scenario
from support.server import binary
from support.waiting import Folder, need_root

# A configuration file, and what is said of it behind its name.
FILES = (
    ("listen: x\n", '1:9: listen: "x" is not an address; write 0.0.0.0:32000, [::]:32000, localhost:32000 or unix:/path'),
    ("listen: ::1\n", '1:9: listen: "::1": write an IPv6 address in brackets, and a port: [::1]:32000'),
    ("listen: ::1:5000\n", '1:9: listen: "::1:5000": write an IPv6 address in brackets: [::1]:5000'),
    ("listen: 2001:db8::1:5000\n", '1:9: listen: "2001:db8::1:5000": write an IPv6 address in brackets: [2001:db8::1]:5000'),
    ("listen: localhost\n", '1:9: listen: "localhost": the port is missing; write localhost:32000'),
    ("listen: 0.0.0.0\n", '1:9: listen: "0.0.0.0": the port is missing; write 0.0.0.0:32000'),
    ("listen: registry.example:5000\n",
     '1:9: listen: "registry.example:5000" is not an address; write 0.0.0.0:32000, [::]:32000, localhost:32000 or unix:/path (names of hosts are not looked up)'),
    ("listen: 0.0.0.0:http\n", '1:9: listen: "0.0.0.0:http": a port is a number from 0 to 65535'),
    ("listen: 99999\n", '1:9: listen: "99999": a port is a number from 0 to 65535'),
    ("listen: 127.0.0.1:65536\n", '1:9: listen: "127.0.0.1:65536": a port is a number from 0 to 65535'),
    ("listen: /run/x.sock\n", '1:9: listen: "/run/x.sock": write unix:/run/x.sock for a socket file'),
    ('listen: "unix:"\n', '1:9: listen: "unix:": the path of a socket must have 1 to 107 bytes'),
    ("listen: http://0.0.0.0:5000\n", '1:9: listen: "http://0.0.0.0:5000": an address has no scheme; write 0.0.0.0:5000'),
    ("listen: https://0.0.0.0:5000\n",
     '1:9: listen: "https://0.0.0.0:5000": an address has no scheme; write 0.0.0.0:5000, and let a proxy in front terminate TLS'),
    ("listen: []\n", "1:9: listen: there are 0 entries; expected 1 to 16"),
    ("listen: [ [a] ]\n", "1:11: listen: expected an address, or { address: ADDRESS, role: mirror }"),
    ("listen: { role: mirror }\n", "1:9: listen: expected an address, or { address: ADDRESS, role: mirror }"),
    ('listen: { adress: "127.0.0.1:1" }\n',
     "1:11: listen: unknown key adress; expected address, role, proxy_protocol, mode or group\nFILE:1:9: listen: expected an address, or { address: ADDRESS, role: mirror }"),
    ('listen: { address: "127.0.0.1:1", role: mirrow }\n', "1:41: listen.role: expected full or mirror"),
    ('listen: { address: "127.0.0.1:1", mode: 0660 }\n', "1:9: listen: mode and group are for unix:/path only; remove them from 127.0.0.1:1"),
    ('listen: { address: "unix:/x", mode: 0888 }\n', "1:37: listen.mode: expected a mode like 0660"),
    ('listen: ["127.0.0.1:5", "127.0.0.1:5"]\n', "1:9: listen: 127.0.0.1:5 is listed twice; remove one"),
    ('listen: ["0.0.0.0:5", "127.0.0.1:5"]\n', "1:9: listen: 0.0.0.0:5 and 127.0.0.1:5 are the same port; remove one"),
    ('listen: ["[::]:5", "127.0.0.1:5"]\n', "1:9: listen: [::]:5 and 127.0.0.1:5 are the same port; remove one"),
    ('listen: ["localhost:5", "[::1]:5"]\n', "1:9: listen: localhost:5 and [::1]:5 are the same port; remove one"),
    ("listen: 127.0.0.1:5\nadmin: 127.0.0.1:5\n",
     "2:8: admin: 127.0.0.1:5 (listen) and 127.0.0.1:5 (admin) are the same port; choose another one for admin, or set admin: none"),
    ("listen: 0.0.0.0:5\nadmin: localhost:5\n",
     "2:8: admin: 0.0.0.0:5 (listen) and localhost:5 (admin) are the same port; choose another one for admin, or set admin: none"),
    ("listen: 127.0.0.1:32001\n",
     "1:9: listen: 127.0.0.1:32001 (listen) and 127.0.0.1:32001 (admin) are the same port; choose another one for admin, or set admin: none"),
    ('listen: { address: "127.0.0.1:1", proxy_protocol: v2 }\n',
     '1:51: listen.proxy_protocol: "v2" is neither true nor false; write one of them'),
    ("trusted_proxies: [10.0.0.0/33]\n",
     '1:18: trusted_proxies: "10.0.0.0/33" is no address of a proxy; write 10.0.0.7, 10.0.0.0/8, fd00::/8, or unix for those that come through a unix socket'),
    ("trusted_proxies: proxy.example\n",
     '1:18: trusted_proxies: "proxy.example" is no address of a proxy; write 10.0.0.7, 10.0.0.0/8, fd00::/8, or unix for those that come through a unix socket'),
    ("location: always\n", '1:11: location: "always" is not allowed; expected auto, relative or absolute'),
    ("control: { address: here }\n", '1:21: control.address: "here" is not allowed; expected auto, none or a path from / on'),
    (f"control: {{ address: /{'x' * 107} }}\n",
     f'1:21: control.address: "/{"x" * 107}": the path of a socket must have 1 to 107 bytes'),
    ("control: { mode: rw }\n", "1:18: control.mode: expected a mode like 0660"),
    ("admin: off\n", '1:8: admin: "off" is not an address; write 0.0.0.0:32000, [::]:32000, localhost:32000 or unix:/path; or write none'),
    ("admin: [a]\n", "1:8: admin: expected one value, not a list"),
    ("names: https://registry.example\n",
     '1:8: names: "https://registry.example" is not a host name; write registry.example or registry.example:5000'),
    ("names: [ghcr.io]\nupstreams: { ghcr.io: {} }\n",
     "1:8: names: ghcr.io is an upstream and cannot be this registry's own name; remove it from names or from upstreams"),
    ("workers: 65\n", '1:10: workers: "65" is not allowed; expected auto or a number from 1 to 64'),
    ("workers: 1\nworkers: 2\n", "2:1: workers is set twice, first in line 1; remove one"),
    ("storage: /data\n", "1:10: storage: expected settings (key: value), not a text"),
    ("storage: [a]\n", "1:10: storage: expected settings (key: value), not a list"),
    ("storage:\n  path: [a, b]\n", "2:9: storage.path: expected one value, not a list"),
    ("storage: { path: { a: b } }\n", "1:18: storage.path: expected one value, not a map"),
    ("storage: { path: ~/data }\n", '1:18: storage.path: "~/data": ~ is not replaced here; write the whole path'),
    ("storage: { path: $HOME/data }\n", '1:18: storage.path: "$HOME/data": $ is not replaced here; write the whole path'),
    ('storage: { path: "" }\n', "1:18: storage.path: expected a text of 1 to 4096 bytes"),
    ("storage:\n  pat: /x\n", "2:3: storage.pat: unknown setting, did you mean storage.path?"),
    ("storage:\n  cache_limit: 120%\n", '2:16: storage.cache_limit: "120%" is not allowed; expected a share from 1% to 99% or a size like 200GiB'),
    ("storage:\n  grace: 1ms\n",
     '2:10: storage.grace: "1ms" is not allowed; expected a duration like 250ms, 10s, 5m, 1h or 30d, at least 1s, at most 30d'),
    ("storage:\n  blob_max: 5 apples\n",
     '2:13: storage.blob_max: "5 apples" is not allowed; expected a size like 64KiB or 10GiB, at least 1MiB, at most 16TiB'),
    ("log: { level: loud }\n", '1:15: log.level: "loud" is not allowed; expected error, warn, info or debug'),
    ("log: { file: /var/log/x }\n", "1:8: log.file: the log is written to standard error; whoever starts the server keeps it"),
    ("log: { access: maybe }\n", '1:16: log.access: "maybe" is neither true nor false; write one of them'),
    ("log: { formt: json }\n", "1:8: log.formt: unknown setting, did you mean log.format?"),
    ("log: { xyzzyxyzzy: 1 }\n", "1:8: log.xyzzyxyzzy: unknown setting; entrepot help settings lists them"),
    ("hosted: { reserved: { a: b } }\n", "1:21: hosted.reserved: expected a text, or a list of texts like [a, b]"),
    ("hosted: { reserved: [ '^team/.*$' ] }\n",
     '1:21: hosted.reserved: "^team/.*$" is a regular expression; a pattern is a name in which * stands for any text, like team/*'),
    ("hosted: { reserved: Team/* }\n",
     '1:21: hosted.reserved: "Team/*" fits no repository, because names have no capital letters; write it like team/*'),
    ("hosted: { reserved: team/ }\n",
     '1:21: hosted.reserved: "team/" fits no repository, because names neither begin nor end with /; write it like team/*'),
    ("hosted: { shadow_check: yes }\n", '1:25: hosted.shadow_check: "yes" is not allowed; expected ask, strict or off'),
    ("limits: { uploads: 5 }\n", "1:20: limits.uploads: it is less than limits.uploads_per_repository: raise it, or lower that"),
    ("limits: { request_line: 64KiB }\n", "1:25: limits.request_line: it is more than limits.request_head: lower it, or raise that"),
    ("limits: { connections: unlimited }\n",
     '1:24: limits.connections: "unlimited" is not allowed; expected a number, at least 8, at most 1048576'),
    ("fetch: { deadline: 1s }\n", "1:20: fetch.deadline: it is less than fetch.known_down_deadline: raise it, or lower that"),
    ("storag:\n  path: x\n", "1:1: storag: unknown setting, did you mean storage?"),
    ("path: /x\n", "1:1: path: unknown setting, did you mean storage.path?"),
    ("tls: {}\n", "1:1: tls: this version speaks plain HTTP only; remove this, and let a proxy in front of it terminate TLS"),
    ("auth: { htpasswd: {} }\n",
     "1:1: auth: this version has no authentication; remove this, and put an authenticating proxy in front if you need one"),
    ("users: {}\n", "1:1: users: this version has no authentication; remove this, and put an authenticating proxy in front if you need one"),
    ("redis: {}\n", "1:1: redis: nothing is kept in Redis; remove this"),
    ("http: { addr: x }\n", "1:1: http: addresses are set by listen: ADDRESS:PORT, and TLS by a proxy in front"),
    ("port: 5000\n", "1:1: port: addresses are set by listen: ADDRESS:PORT"),
    ("registries: {}\n", "1:1: registries: registries to fetch from are set by upstreams: { docker.io: {} }"),
    ("notifications: {}\n", "1:1: notifications: this version sends no notifications; remove this"),
    ("data: /x\n", "1:1: data: the folder that holds everything is set by storage.path: DIR"),
    ("debug: true\n", "1:1: debug: write log: { level: debug }"),
    ("metrics: true\n", "1:1: metrics: /healthz, /readyz and /metrics are at the address that admin: ADDRESS sets"),
    ("readonly: true\n", "1:1: readonly: a whole registry cannot be made read-only; use listen: { address: ADDRESS, role: mirror }"),
    ("storage: { s3: {} }\n", "1:12: storage.s3: there is only the file system; set the folder by storage.path: DIR"),
    ("storage: { filesystem: {} }\n", "1:12: storage.filesystem: the folder that holds everything is set by storage.path: DIR"),
    ("xyzzyxyzzy: 1\n", "1:1: xyzzyxyzzy: unknown setting; entrepot help settings lists them"),
    ("version: 0.1\nstorage: { filesystem: { rootdirectory: /x } }\nhttp: { addr: x }\n",
     "1:1: this is a configuration of the stock registry; `entrepot help example` prints one of this program, which also reads the REGISTRY_ variables"),
    ("upstreams: [ghcr.io]\n",
     "1:12: upstreams: expected a map, not a list; write each name with its settings, like upstreams: { docker.io: {}, ghcr.io: {} }"),
    ("upstreams: ghcr.io\n",
     "1:12: upstreams: expected a map, not a text; write each name with its settings, like upstreams: { docker.io: {}, ghcr.io: {} }"),
    ('upstreams: { "http://x": {} }\n', '1:14: upstreams.http://x: "http://x" is not a host name; write registry.example or registry.example:5000'),
    ("upstreams: { ghcr.io: 5 }\n", "1:23: upstreams.ghcr.io: expected the settings of the upstream, or {}"),
    ("upstreams: { [a]: {} }\n", "1:14: upstreams: expected the name of a setting"),
    ("upstreams: { docker.io: {}, index.docker.io: {} }\n", "1:29: upstreams.index.docker.io: the upstream docker.io is listed twice; remove one"),
    ("upstreams: { a.io: { default: true }, b.io: { default: true } }\n",
     "1:56: upstreams.b.io.default: a.io is the default already, and only one upstream can be; set default: false for the other"),
    ("upstreams: { ghcr.io: { ulr: x } }\n", "1:25: upstreams.ghcr.io.ulr: unknown setting, did you mean url?"),
    ("upstreams: { ghcr.io: { user: x } }\n", "1:25: upstreams.ghcr.io.user: unknown setting, did you mean username?"),
    ("upstreams: { ghcr.io: { ttl: 5m } }\n", "1:25: upstreams.ghcr.io.ttl: this is a key of a rule for tags; write tags: [ { ttl: … } ]"),
    ("upstreams: { ghcr.io: { xyzzyxyzzy: 1 } }\n", "1:25: upstreams.ghcr.io.xyzzyxyzzy: unknown setting; entrepot help settings lists them"),
    ("upstreams: { ghcr.io: { url: ghcr.io } }\n", '1:30: upstreams.ghcr.io.url: "ghcr.io" is not a URL; write https:// (or http://) and a host'),
    ("upstreams: { ghcr.io: { url: https://user@ghcr.io } }\n",
     '1:30: upstreams.ghcr.io.url: "https://user@ghcr.io" has a user; write it as username and password_file'),
    ("upstreams: { ghcr.io: { password: x } }\n",
     "1:35: upstreams.ghcr.io.password: passwords may not be in this file; put it in a file of its own and set password_file: PATH"),
    ("upstreams: { ghcr.io: { username: x } }\n", "1:12: upstreams.ghcr.io: set both username and password_file, or neither"),
    ("upstreams: { ghcr.io: { username: x, password_file: /nonexistent/x } }\n",
     "1:12: upstreams.ghcr.io: password_file: /nonexistent/x cannot be read: No such file or directory"),
    ("upstreams: { ghcr.io: { username: x, password_file: /dev/null } }\n",
     "1:12: upstreams.ghcr.io: password_file: /dev/null must contain a password of 1 to 16384 bytes, as text (it has 0)"),
    ("upstreams: { a.io: { ca_file: /nonexistent/x } }\n",
     "1:12: upstreams.a.io: ca_file: /nonexistent/x cannot be read: No such file or directory"),
    ("upstreams: { a.io: { tags: { match: x } } }\n",
     '1:28: upstreams.a.io.tags: expected a list of at most 64 rules, like [ { match: "v*", immutable: true } ]'),
    ("upstreams: { a.io: { tags: [ x ] } }\n", '1:30: upstreams.a.io.tags[0]: expected a rule like { match: "*", ttl: 60s }'),
    ("upstreams: { a.io: { tags: [ { tll: 5s } ] } }\n", "1:32: upstreams.a.io.tags[0].tll: unknown setting, did you mean ttl?"),
    ("upstreams: { a.io: { tags: [ { match: 'v[0-9]+' } ] } }\n",
     '1:39: upstreams.a.io.tags[0].match: "v[0-9]+" is a regular expression; a pattern is a name in which * stands for any text, like team/*'),
    ("upstreams: { a.io: { tags: [ { ttl: x } ] } }\n",
     '1:37: upstreams.a.io.tags[0].ttl: "x" is not allowed; expected a duration like 250ms, 10s, 5m, 1h or 30d, at most 365d'),
    ('upstreams: { ghcr.io: { url: "https://ghcr.io/a%20b" } }\n',
     '1:30: upstreams.ghcr.io.url: https://ghcr.io/a%20b: in the path "a%20b" only letters, digits, - . _ ~ and single slashes may stand, no . or .. alone, % or query'),
    ('upstreams: { ghcr.io: { url: "https://ghcr.io/Team" } }\n',
     '1:30: upstreams.ghcr.io.url: https://ghcr.io/Team: "Team" is no beginning of a repository\'s name (lower case, no empty parts); if it stands before /v2, write it so: Team/v2'),
    ('upstreams: { ghcr.io: { url: "https://" } }\n',
     '1:30: upstreams.ghcr.io.url: "https://": a host, and perhaps a port and a path, must follow https://'),
    ("fetch: { https_proxy: ftp://x }\n",
     '1:23: fetch.https_proxy: "ftp://x" is not a proxy; write http://, https://, socks5:// or socks5h://, perhaps USER:PASSWORD@, and HOST:PORT, or none; in USER and PASSWORD, %23 stands for #'),
    ('fetch: { no_proxy: "a b" }\n',
     '1:20: fetch.no_proxy: "a b" is no host; write a host, a domain like .example.com, an address, a network like 10.0.0.0/8, or *'),
    ("trusted_proxies: a.example\n",
     '1:18: trusted_proxies: "a.example" is no address of a proxy; write 10.0.0.7, 10.0.0.0/8, fd00::/8, or unix for those that come through a unix socket'),
    ("a: &x 1\n", "1:4: anchors (&x) are not allowed; write the value again"),
    ("a: *x\n", "1:4: aliases (*name) are not allowed; write the value again"),
    ("a: !!str 1\n", "1:4: tags (tag:yaml.org,2002:str) are not allowed; remove it"),
    ("a: [\n", "2:1: this is not valid YAML: did not find expected node content"),
    ("--- {}\n--- {}\n", "2:5: only one YAML document is allowed; remove what follows ---"),
    ("- a\n", "1:1: expected settings (key: value), not a list"),
    ("foo\n", "1:1: expected settings (key: value), not a text"),
    ('listen: "\\0"\n', "1:9: a NUL character is not allowed; remove it"),
    ('listen: "\\x01"\n', "1:9: listen: the value contains control characters or is not UTF-8"),
    ("[[[[[[[[[[[[[[[[[[[[[[[[", "1:18: nested too deeply; at most 16 levels are allowed"),
)

# Variables of the environment. What begins with "warning" is no problem.
VARIABLES = (
    ("ENTREPOT_LISTEN=x", 'ENTREPOT_LISTEN: listen: "x" is not an address; write 0.0.0.0:32000, [::]:32000, localhost:32000 or unix:/path'),
    ("ENTREPOT_ADMIN=localhost:32000",
     "environment: admin: localhost:32000 (listen) and localhost:32000 (admin) are the same port; choose another one for admin, or set admin: none"),
    ("ENTREPOT_WORKERS=none", 'ENTREPOT_WORKERS: workers: "none" is not allowed; expected auto or a number from 1 to 64'),
    ("ENTREPOT_STORAGE=/x",
     "warning: ENTREPOT_STORAGE: this is a group of settings, whose names are longer (entrepot help settings lists them); the variable is ignored"),
    ("ENTREPOT_STORAGE_PTH=/x",
     "warning: ENTREPOT_STORAGE_PTH: there is no such setting, did you mean ENTREPOT_STORAGE_PATH? The variable is ignored"),
    ("ENTREPOT_workers=5", "warning: ENTREPOT_workers: there is no such setting, did you mean ENTREPOT_WORKERS? The variable is ignored"),
    ("ENTREPOT_XYZZYXYZZY=1",
     "warning: ENTREPOT_XYZZYXYZZY: there is no such setting (entrepot help settings lists them); the variable is ignored"),
    ("ENTREPOT_TLS_CERT=/x", "ENTREPOT_TLS_CERT: this version speaks plain HTTP only; remove this, and let a proxy in front of it terminate TLS"),
    ("ENTREPOT_AUTH=htpasswd",
     "ENTREPOT_AUTH: this version has no authentication; remove this, and put an authenticating proxy in front if you need one"),
    ("ENTREPOT_PORT=5000", "warning: ENTREPOT_PORT: addresses are set by listen: ADDRESS:PORT; the variable is ignored"),
    ("ENTREPOT_LOG_FILE=/x",
     "warning: ENTREPOT_LOG_FILE: the log is written to standard error; whoever starts the server keeps it; the variable is ignored"),
    ("ENTREPOT_UPSTREAM=ghcr.io",
     "warning: ENTREPOT_UPSTREAM: registries to fetch from are set by upstreams: { docker.io: {} }; the variable is ignored"),
    ("ENTREPOT_UPSTREAMS_GHCR_IO_URL=x",
     "warning: ENTREPOT_UPSTREAMS_GHCR_IO_URL: ENTREPOT_UPSTREAMS holds all upstreams, as names or as YAML like { ghcr.io: { url: URL } }; the variable is ignored"),
    ("ENTREPOT_UPSTREAMS=none", "ENTREPOT_UPSTREAMS: upstreams: write {} for no upstream at all"),
    ("ENTREPOT_UPSTREAMS=https://ghcr.io",
     'ENTREPOT_UPSTREAMS: upstreams: "https://ghcr.io" is not a host name; write registry.example or registry.example:5000'),
    ("ENTREPOT_UPSTREAMS=ghcr.io;quay.io",
     'ENTREPOT_UPSTREAMS: upstreams: "ghcr.io;quay.io" is not a host name; write registry.example or registry.example:5000'),
    ("ENTREPOT_UPSTREAMS=[{name: ghcr.io}]",
     "ENTREPOT_UPSTREAMS: upstreams: expected names, like [ghcr.io, quay.io]; an upstream with settings is written { NAME: { url: URL } }"),
    ("ENTREPOT_UPSTREAMS={ghcr.io: {ulr: x}}", "ENTREPOT_UPSTREAMS:1:12: upstreams.ghcr.io.ulr: unknown setting, did you mean url?"),
    ("ENTREPOT_UPSTREAMS={ghcr.io: {url: x}",
     "ENTREPOT_UPSTREAMS: upstreams: expected names separated by commas, or a map as YAML, like { ghcr.io: {} }: this is not valid YAML: did not find expected ',' or '}'"),
    ("ENTREPOT_UPSTREAMS={ghcr.io: {username: me}}", "ENTREPOT_UPSTREAMS: upstreams.ghcr.io: set both username and password_file, or neither"),
    ("ENTREPOT_CONFIG=/nonexistent/a.yaml",
     "/nonexistent/a.yaml: the configuration file cannot be read: No such file or directory; ENTREPOT_CONFIG names it"),
    ("HTTP_PROXY=http://a:1 ENTREPOT_UPSTREAMS={a.io: {url: 'http://a.io'}}",
     "warning: HTTP_PROXY: this variable is not used, as curl does not use it; set http_proxy or fetch.http_proxy for the upstreams with an http:// URL"),
    ("REGISTRY_AUTH=htpasswd",
     "REGISTRY_AUTH: this version has no authentication, and without it the registry would be open to everybody; remove the variable, and put an authenticating proxy in front if you need one"),
    ("REGISTRY_HTTP_TLS_CERTIFICATE=/x",
     "REGISTRY_HTTP_TLS_CERTIFICATE: this version speaks plain HTTP only; remove the variable, and let a proxy in front terminate TLS"),
    ("REGISTRY_STORAGE=s3", "REGISTRY_STORAGE: there is only the filesystem driver; remove the variable"),
    ("REGISTRY_STORAGE_S3_BUCKET=x", "REGISTRY_STORAGE_S3_BUCKET: there is only the filesystem driver; remove the variable"),
    ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED=true",
     "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: a whole registry cannot be made read-only; use listen: { address: ADDRESS, role: mirror }"),
    ("REGISTRY_HTTP_ADDR=x", 'REGISTRY_HTTP_ADDR: listen: "x" is not an address; write 0.0.0.0:32000, [::]:32000, localhost:32000 or unix:/path'),
    ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=~/x",
     'REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: storage.path: "~/x": ~ is not replaced here; write the whole path'),
    ("REGISTRY_PROXY_REMOTEURL=registry-1.docker.io",
     'REGISTRY_PROXY_REMOTEURL: "registry-1.docker.io/v2" is not a URL; write https:// (or http://) and a host'),
    ("REGISTRY_PROXY_TTL=168h", "warning: REGISTRY_PROXY_TTL: cached images are not removed by age; the variable is ignored"),
    ("REGISTRY_PROXY_USERNAME=x",
     "warning: REGISTRY_PROXY_USERNAME: it is for the registry of REGISTRY_PROXY_REMOTEURL, which is not set; the variable is ignored"),
    ("REGISTRY_PROXY_REMOTEURL=https://a.io REGISTRY_PROXY_USERNAME=x",
     "REGISTRY_PROXY_PASSWORD: set both REGISTRY_PROXY_USERNAME and REGISTRY_PROXY_PASSWORD, or neither; they may not contain control characters"),
    ("REGISTRY_LOG_LEVEL=debug", "warning: REGISTRY_LOG_LEVEL: this variable of the stock registry has no counterpart here; it is ignored"),
    ("REGISTRY_HTTP_SECRET=x", "warning: REGISTRY_HTTP_SECRET: this variable of the stock registry has no counterpart here; it is ignored"),
)

# Options of `check` whose values are wrong.
OPTIONS = (
    ("--set storage=/data",
     "command line: storage: this is a group of settings; set one of storage.path, storage.cache_limit, storage.cache_max_age, storage.min_free, storage.grace, storage.memory_limit, storage.blob_max"),
    ("--set storage", "command line: --set storage: expected KEY=VALUE, like storage.path=/srv/entrepot"),
    ("--set =x", "command line: --set =x: expected KEY=VALUE, like storage.path=/srv/entrepot"),
    ("--set tls=1", "command line: tls: this version speaks plain HTTP only; remove this, and let a proxy in front of it terminate TLS"),
    ("--set auth.htpasswd=x",
     "command line: auth.htpasswd: this version has no authentication; remove this, and put an authenticating proxy in front if you need one"),
    ("--set redis.addr=x", "command line: redis.addr: nothing is kept in Redis; remove this"),
    ("--set port=5000", "command line: port: addresses are set by listen: ADDRESS:PORT"),
    ("--set data=/x", "command line: data: the folder that holds everything is set by storage.path: DIR"),
    ("--set storage.pth=x", "command line: storage.pth: unknown setting, did you mean storage.path?"),
    ("--set limits.connection=10", "command line: limits.connection: unknown setting, did you mean limits.connections?"),
    ("--set xyzzyxyzzy=1", "command line: xyzzyxyzzy: unknown setting; entrepot help settings lists them"),
    ("--set limits.connections=x", 'command line: limits.connections: "x" is not allowed; expected a number, at least 8, at most 1048576'),
    ("--set storage.path=~/x", 'command line: storage.path: "~/x": ~ is not replaced here; write the whole path'),
    ("--set upstreams=", "command line: upstreams: expected names separated by commas, or a map as YAML, like { ghcr.io: {} }"),
    ("--set upstreams=gh_cr", 'command line: upstreams: "gh_cr" is not a host name; write registry.example or registry.example:5000'),
    ("--set upstreams.ghcr.io.url=x", 'command line: upstreams.ghcr.io.url: "x" is not a URL; write https:// (or http://) and a host'),
    ("--set upstreams.ghcr.io.ulr=x",
     "command line: upstreams: expected upstreams.NAME.KEY=VALUE, with a key like url; passwords and rules for tags are in the configuration file"),
    ("--set upstreams.ghcr.io.password=x",
     "command line: upstreams: expected upstreams.NAME.KEY=VALUE, with a key like url; passwords and rules for tags are in the configuration file"),
    ("--listen ::1", 'command line: listen: "::1": write an IPv6 address in brackets, and a port: [::1]:32000'),
    ("--listen 127.0.0.1:5 --listen 127.0.0.1:5", "command line: listen: 127.0.0.1:5 is listed twice; remove one"),
    ("--admin localhost:32000",
     "command line: admin: localhost:32000 (listen) and localhost:32000 (admin) are the same port; choose another one for admin, or set admin: none"),
    ("--workers 0", 'command line: workers: "0" is not allowed; expected auto or a number from 1 to 64'),
    ("--config /nonexistent/a.yaml", "/nonexistent/a.yaml: the configuration file cannot be read: No such file or directory; --config names it"),
    ("--config /", "/: the configuration file cannot be read: Is a directory; --config names it"),
)

# Command lines that are no command: status 2.
USAGE = (
    ("serv", "entrepot: unknown command serv, did you mean serve?"),
    ("zzzzzz", "entrepot: unknown command zzzzzz; entrepot --help lists them"),
    ("start", "entrepot: unknown command start, did you mean serve?"),
    ("validate", "entrepot: unknown command validate, did you mean check?"),
    ("--config x", "entrepot: the command must come before --config, like entrepot serve --config; entrepot --help lists the commands"),
    ("-d", "entrepot: the command must come before -d, like entrepot serve -d; entrepot --help lists the commands"),
    ("help zzzzzz", "entrepot: there is no help about zzzzzz; entrepot help lists the commands"),
    ("serve entrepot.yaml", "entrepot serve: unexpected argument entrepot.yaml; a configuration file is given with --config FILE"),
    ("check entrepot.yaml", "entrepot check: unexpected argument entrepot.yaml; a configuration file is given with --config FILE"),
    ("serve -f x", "entrepot: unknown option -f, did you mean --config?"),
    ("images", "entrepot: unknown command images, did you mean ls?"),
    ("prune", "entrepot: unknown command prune, did you mean gc?"),
    ("help completion tcsh", "entrepot: there is no help about completion; entrepot help lists the commands"),
    ("serve -V", "entrepot: unknown option -V; entrepot --version prints the version"),
    ("serve --version", "entrepot: unknown option --version; entrepot --version prints the version"),
    ("serve --prot 5000", "entrepot: unknown option --prot, did you mean --listen?"),
    ("serve --port=5000", "entrepot: unknown option --port=5000, did you mean --listen?"),
    ("serve --root /x", "entrepot: unknown option --root, did you mean --data?"),
    ("serve --zzzzzz", "entrepot: unknown option --zzzzzz; entrepot help serve lists them"),
    ("serve --verbose", "entrepot: unknown option --verbose; write --set log.level=debug"),
    ("serve -v", "entrepot: unknown option -v; write --set log.level=debug"),
    ("serve --log-level debug", "entrepot: unknown option --log-level; write --set log.level=VALUE"),
    ("serve --log.level=debug", "entrepot: unknown option --log.level=debug; write --set log.level=VALUE"),
    ("serve --mirror x", "entrepot: unknown option --mirror; write --set upstreams=NAME"),
    ("serve --listen", "entrepot: --listen needs a value; entrepot help serve lists the options"),
    ("serve --data=", "entrepot: --data= needs a value; entrepot help serve lists the options"),
    ("serve --config=", "entrepot: --config= needs a value; entrepot help serve lists the options"),
)

ROOT_HERE = "there is no user entrepot"  # a machine without the user is warned of it

# What cannot come from outside, or only from a machine that is out of memory.
UNSEEN = {"out of memory", "over 1 MiB"}
# test_secrets.py, which makes certificates, and test_config.py, which reloads, see these.
UNSEEN |= {
    "%s is not PEM: it has no line like -----BEGIN CERTIFICATE-----",
    "%s is a pipe, which can only be read when the server starts; use a file",
    "%s has several lines, and all of them are the password", "client_key: set client_cert as well, or neither",
    "client_cert: %s has an expired certificate",
    "the client certificate is not used unless expose: true says that everybody who may pull from here may get what it "
    "brings",
    "tls_verify: false: anybody between here and %s can read the password and give us other images; use ca_file outside "
    "a laboratory",
}
# test_control.py sees these.
UNSEEN |= {
    "the administrator's socket is disabled (control.address: none)",
    "control.address: the path %s/control.sock is longer than the %u bytes that a socket's may have; set control.address to "
    "a shorter one",
}


def run(arguments, environment=None, user=None, program=None):
    """(status, lines of standard error without the count of problems)"""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("ENTREPOT_", "REGISTRY_"))
             and not key.lower().endswith("_proxy")}
    done = subprocess.run([program or binary()] + arguments, env={**clean, **(environment or {})}, stderr=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, user=user, group=user, extra_groups=[] if user else None,
                          check=False, timeout=60)
    lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines()
             if not re.match("entrepot: (the configuration has|a start would fail:) [0-9]+ problems?$", line)
             and ROOT_HERE not in line]
    return done.returncode, "\n".join(lines)


class Texts(Scenario):
    said = []  # of all tests of this file, for the last one
    program = None

    def setUp(self):
        self.folder = Folder("texts")
        self.addCleanup(self.folder.remove)
        self.environment = {"ENTREPOT_STORAGE_PATH": str(self.folder / "data")}

    def check(self, *arguments, environment=None, user=None):
        result = run(["check"] + list(arguments), {**self.environment, **(environment or {})}, user, self.program)
        Texts.said.append(result[1])
        return result

    def file(self, text):
        path = str(self.folder / "entrepot.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path


class ATableTest(Texts):
    def test_files(self):
        for text, expected in FILES:
            with self.subTest(text=text):
                path = self.file(text)
                status, said = self.check("--config", path)
                self.assertEqual(said.replace(path + ":", "", 1).replace(path, "FILE"), expected)
                self.assertEqual(status, 1)

    def test_variables(self):
        for text, expected in VARIABLES:
            with self.subTest(text=text):
                values = re.split(r" (?=REGISTRY_|ENTREPOT_)", text)
                status, said = self.check(environment=dict(value.split("=", 1) for value in values))
                self.assertEqual(said, expected)
                self.assertEqual(status, 0 if expected.startswith("warning: ") else 1)

    def test_options(self):
        for text, expected in OPTIONS:
            with self.subTest(text=text):
                status, said = self.check(*text.split(" "))
                self.assertEqual(said, expected)
                self.assertEqual(status, 1)

    def test_usage(self):
        for text, expected in USAGE:
            with self.subTest(text=text):
                status, said = run(text.split(" "))
                Texts.said.append(said)
                self.assertEqual(said, expected)
                self.assertEqual(status, 2)

    def test_what_is_too_much(self):
        many = {f"registry{i}.test": {} for i in range(300)}
        rules = {f"registry{i}.test": {"tags": [{"match": f"v{k}"} for k in range(64)]} for i in range(70)}
        rows = (
            ("#" * (1 << 20) + "#", "the configuration file is longer than 1048576 bytes; --config names it"),
            (json.dumps({"names": ["a.test"] * 3000}), "too many entries; at most 1024 are allowed"),
            (json.dumps([["a"] * 1000] * 70), "too many values; at most 20000 are allowed"),
            (json.dumps({"names": [f"r{i}.test" for i in range(65)]}), "names: there are 65 entries; expected 0 to 64"),
            (json.dumps({"upstreams": {"a.test": {"url": "https://a.test/" + "b" * 256 + "/v2"}}}),
             "the path before /v2 has over 255 bytes"),
            (json.dumps({"upstreams": many}), "upstreams: there are 300 upstreams; at most 256 are allowed"),
            (json.dumps({"upstreams": rules}), "with all defaults filled in it is too large (configuration:"),
        )
        for text, expected in rows:
            with self.subTest(expected=expected):
                status, said = self.check("--config", self.file(text))
                self.assertIn(expected, said)
                self.assertEqual(status, 1)
        status, said = self.check(*["--set", "workers=3"] * 257)
        self.assertEqual((status, said), (2, "entrepot: at most 256 settings of at most 8192 bytes may be given as "
                                             "options; put them into the configuration file"))
        status, said = self.check(environment={"ENTREPOT_UPSTREAMS": ",".join(many)})
        self.assertEqual((status, said), (1, "ENTREPOT_UPSTREAMS: upstreams: there are 300 upstreams; at most 256 are allowed"))

    def test_warnings_are_no_problems(self):
        password = self.folder / "password"
        with open(password, "w", encoding="utf-8") as out:
            out.write("secret\n")
        os.chmod(password, 0o644)
        path = self.file("storage: { cache_limit: 10GiB, grace: 2h }\n"
                         f"upstreams: {{ a.io: {{ username: me, password_file: {password} }} }}\n")
        self.assertEqual(self.check("--config", path), (0, "\n".join((
            f"warning: {path}:2:12: upstreams.a.io: every user of this machine can read {password}; run chmod o-r on it",
            f"warning: {path}:2:12: upstreams.a.io: the credentials are not used unless expose: true says that everybody "
            "who may pull from here may get what they fetch"))))


class BMachineTest(Texts):
    """What is right as a text, but not on this machine."""

    def setUp(self):
        super().setUp()
        need_root()
        os.chmod(self.folder.path, 0o755)
        # Others may not enter every folder in which root builds.
        self.program = shutil.copy(binary(), self.folder / "entrepot")

    def refused(self, expected, *arguments, user=None):
        status, said = self.check(*arguments, user=user)
        self.assertEqual(said, expected)
        self.assertEqual(status, 1)

    def mine(self):
        data = self.folder / "data"
        os.mkdir(data)
        os.chown(data, 65534, 65534)
        return data

    def test_users_and_groups(self):
        self.refused("user: there is no user nosuch; add it (useradd --system --no-create-home --shell "
                     "/usr/sbin/nologin nosuch), or set another one, or numbers: UID:GID", "--user", "nosuch")
        self.refused("only root can start the server as the user root; start it as root, or as that user",
                     "--user", "root", "--data", str(self.mine()), user=65534)
        path = self.file(f"listen: {{ address: 'unix:{self.folder / 's'}', group: nosuch }}\n")
        self.refused("listen: there is no group nosuch; add it (groupadd --system nosuch), or name another one, or its "
                     "number", "--config", path)

    def test_addresses(self):
        self.refused("listen: this machine does not have the address of 203.0.113.7:5000; ip address lists those it has",
                     "--listen", "203.0.113.7:5000")
        self.refused("admin: this machine does not have the address of 203.0.113.7:5000; ip address lists those it has",
                     "--admin", "203.0.113.7:5000")
        self.refused("listen: unix:/nonexistent/s: No such file or directory; the folder of the socket must be there, and "
                     "ours to write in", "--listen", "unix:/nonexistent/s")

    def test_low_ports_are_roots(self):
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as source:
            if int(source.read()) < 1024:
                self.skipTest("here everybody may listen on low ports")
        self.mine()
        self.refused("listen: only root may listen on the port of 127.0.0.1:1023; start as root, or choose a port from "
                     "1024 on", "--listen", "127.0.0.1:1023", user=65534)

    def test_folders(self):
        others = self.folder / "others"
        os.mkdir(others, 0o700)
        os.chown(others, 1000, 1000)
        self.refused(f"{others} belongs to the user 1000, but the server runs as nobody and cannot write there; run chown -R "
                     f"nobody {others}, or set user: 1000", "--user", "nobody", "--data", str(others))
        mine = ("; give the folder to the user 65534 (chown -R 65534), or set storage.path to a folder that this user may "
                "write")
        self.refused(f"storage.path {others}: cannot write in it: Permission denied{mine}", "--data", str(others), user=65534)
        new = self.folder / "new/below"
        self.refused(f"storage.path {new}: cannot make the folder below {self.folder.path}: Permission denied{mine}",
                     "--data", str(new), user=65534)
        file = self.file("")
        self.refused(f"storage.path {file}: cannot write in it: Not a directory; something else stands there; move "
                     "it away, or set storage.path to another folder", "--data", file)
        foreign = self.folder / "foreign"
        os.mkdir(foreign)
        with open(f"{foreign}/x", "w", encoding="ascii"):
            pass
        self.refused(f"{foreign} is not empty and was not made by Entrepot: it has x; set storage.path to an empty folder",
                     "--data", str(foreign))
        os.rename(f"{foreign}/x", f"{foreign}/layout")
        self.refused(f"{foreign}/layout was not written by Entrepot, or is damaged; if the images in {foreign} are yours, make "
                     "its content the line `entrepot 1`, else set storage.path to another folder", "--data", str(foreign))


class CStartTest(Texts):
    """What only a start can find: it ends with one line that says it."""

    def start(self, *arguments):
        status, said = run(["serve", "--set", "upstreams={}", "--user", "root"] + list(arguments),
                           {**self.environment, "ENTREPOT_ADMIN": "none"})
        self.assertEqual(status, 1)
        return [line.partition(" error ")[2] for line in said.splitlines()]

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("the folders are root's")

    def test_who_holds_the_port(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = f"127.0.0.1:{other.getsockname()[1]}"
            with open("/proc/self/comm", encoding="ascii") as source:
                name = source.read().strip()
            text = f"{name} (process {os.getpid()}) listens on {address} already; stop it, or choose another address with"
            self.assertEqual(self.start("--listen", address), [f'master "listen: {text} --listen"'])
            self.assertEqual(self.start("--listen", "127.0.0.1:0", "--admin", address), [f'master "admin: {text} --admin"'])

    def test_who_holds_the_socket_file(self):
        path = str(self.folder / "s")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            other.listen()
            said = self.start("--listen", f"unix:{path}")
            self.assertIn(f"(process {os.getpid()}) listens on unix:{path} already; stop it", said[0])
            os.stat(path)
        os.unlink(path)
        self.file("")
        said = self.start("--listen", f"unix:{self.folder / 'entrepot.yaml'}")
        self.assertIn("is not a socket of a server that ended; remove it, or choose another path with --listen", said[0])

    def test_the_folder(self):
        server = self.server()
        data = server.data
        said = self.start("--data", data, "--listen", "127.0.0.1:0")
        self.assertRegex(said[0], rf'keeper\[0\] "storage.path {data} is in use by another server \(process [0-9]+\); stop that '
                                  'one, or set storage.path to another folder"')
        server.stop()
        ledger = os.path.join(data, "ledger/data.mdb")
        with open(ledger, "wb") as out:
            out.write(os.urandom(20000))
        said = self.start("--data", data, "--listen", "127.0.0.1:0")
        self.assertIn(f"{ledger} is damaged; restore it from a backup, or move {data}/ledger and blobs/ beside it away to begin "
                      "with an empty registry", said[0])

    def test_the_way_to_the_folder(self):
        closed = self.folder / "closed"
        os.chmod(self.folder.path, 0o755)
        os.mkdir(closed, 0o700)
        data = os.path.join(closed, "data")
        said = self.start("--user", "nobody", "--data", data, "--listen", "127.0.0.1:0")
        self.assertEqual(said[0], f'keeper[0] "cannot open folder {data}: Permission denied; the user 65534 may not enter it, or '
                                  f'a folder above it (namei -l {data} shows them); run chmod o+x on that folder, or set '
                                  'storage.path to another one"')

    def test_the_disk(self):
        """A tmpfs of our own: too small for the ledger, then read-only."""
        script = self.folder / "disk.sh"
        with open(script, "w", encoding="ascii") as out:
            out.write('set -e; d=$1; shift; mkdir -p $d; mount -t tmpfs -o size=16k tmpfs $d\n"$@" || true\n'
                      'umount $d; mount -t tmpfs -o ro tmpfs $d\n"$@" || true\n')
        data = self.folder / "disk"
        done = subprocess.run(["unshare", "-m", "sh", script, data, binary(), "serve", "--user", "root", "--data", f"{data}/d",
                               "--listen", "127.0.0.1:0", "--admin", "none", "--set", "upstreams={}"],
                              stderr=subprocess.PIPE, check=False, timeout=60)
        said = done.stderr.decode()
        if "unshare" in said or "mount:" in said:
            self.skipTest("this machine mounts nothing for tests")
        self.assertIn(f"{data}/d/ledger/data.mdb: ledger: open: No space left on device; make room on its file system, or set "
                      "storage.path to a folder on another one", said)
        self.assertIn(f"storage.path {data}/d: cannot make folder {data}/d: Read-only file system; mount its file system for "
                      "writing, or set storage.path to a folder on another one", said)


class ZSourceTest(Texts):
    """Runs last: each text in the source was seen above."""

    def test_each_text_of_the_source_was_seen(self):
        if os.geteuid() != 0:
            self.skipTest("only root sees all")
        everything = "\n".join(Texts.said)
        unseen = [text for text in texts_of_source() if text not in UNSEEN and not re.search(pattern_of(text), everything)]
        self.assertEqual(unseen, [])


# test_commands.py sees these.
OF_COMMANDS = ("call.c", "client.c", "commands.c", "parse_call.c", "shells.c", "table.c")
CALL = re.compile(r"\b(?:reader_problem|reader_warning|error_set|error_set_errno|error_advise|fprintf)\s*\(")
LITERAL = re.compile(r'(?:"(?:[^"\\]|\\.)*"\s*)+')


def texts_of_source():
    """The formats of all calls that make a text, in src/config and src/cli; those of help are no mistakes."""
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    files = [path for part in ("config", "cli") for path in glob.glob(f"{top}/src/{part}/*.c")
             if os.path.basename(path) not in ("help.c", "welcome.c", *OF_COMMANDS)]
    for path in sorted(files):
        with open(path, encoding="utf-8") as source:
            code = source.read()
        for call in CALL.finditer(code):
            body = code[call.end():code.index(";\n", call.end())]
            for literal in LITERAL.findall(body):
                text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literal))
                if text == "the configuration has %u problem%s":
                    continue  # run() takes it away
                if " " in text.replace("%s ", "").strip():
                    yield text.replace('\\"', '"').replace("\\n", "").strip("; ")


def pattern_of(text):
    """A format as a regular expression: any text may stand for a conversion."""
    parts = re.split(r"%(?:\.\*|\.\d+)?(?:z|l|ll)?[sducX]", text.replace("%%", "%"))
    return ".*".join(re.escape(part) for part in parts)


if __name__ == "__main__":
    unittest.main()
