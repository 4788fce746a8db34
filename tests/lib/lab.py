# SPDX-License-Identifier: Apache-2.0
"""The whole system on real parts, for the demonstration, the system tests and the
benchmark: a data directory, a configuration, `aegis gate`, nginx with a certificate of a
test CA. Everything listens on loopback; everything that was started is ended by its pid."""

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path


# Below the kernel's ephemeral ports, so that no outgoing connection takes one between the look
# and the server's bind; each process of a parallel run goes through a stretch of its own.
PORTS = itertools.cycle(range(start := 10000 + os.getpid() % 40 * 500, start + 500))


def free_port():
    for port in PORTS:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait_port(port, seconds=10, process=None):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.01)
    raise TimeoutError(f"port {port}")


class TestCA:
    """A certificate authority and one server certificate for localhost."""

    def __init__(self, directory):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.ca = self.dir / "ca.pem"
        self.cert = self.dir / "server.pem"
        self.key = self.dir / "server.key"
        ext = self.dir / "ext"
        ext.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")

        def openssl(*args):
            subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.dir)

        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
                "-subj", "/CN=Aegis test CA", "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", "server.pem", "-days", "2", "-extfile", "ext")


class Nginx:
    """An upstream that answers only to the right key; plain and TLS."""

    def __init__(self, directory, ca, key, header="authorization", value=None, body=None,
                 extra="", workers=1):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.plain, self.tls = free_port(), free_port()
        value = value or f"Bearer {key}"
        body = body or '{"ok":true,"you":"had the key","path":"$request_uri"}'
        user = "user root;" if os.getuid() == 0 else ""
        name = header.replace("-", "_")
        conf = self.dir / "nginx.conf"
        conf.write_text(f"""
{user} daemon off; worker_processes {workers}; pid {self.dir}/nginx.pid;
error_log {self.dir}/error.log; events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 10000000; client_max_body_size 0;
  client_body_temp_path {self.dir}/b; proxy_temp_path {self.dir}/p;
  fastcgi_temp_path {self.dir}/f; uwsgi_temp_path {self.dir}/u; scgi_temp_path {self.dir}/s;
  default_type application/json;
  server {{
    listen 127.0.0.1:{self.plain}; listen 127.0.0.1:{self.tls} ssl;
    ssl_certificate {ca.cert}; ssl_certificate_key {ca.key};
    {extra}
    location / {{
      if ($http_{name} != "{value}") {{ return 403 '{{"error":"wrong key"}}'; }}
      return 200 '{body}';
    }}
  }}
}}
""")
        conf.chmod(0o600)
        self.process = subprocess.Popen(
            ["/usr/sbin/nginx", "-p", str(self.dir), "-c", str(conf)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_port(self.tls, process=self.process)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)


class CommandFailed(Exception):
    def __init__(self, args, code, out, err):
        super().__init__(f"{' '.join(map(str, args))}: exit {code}\n{out}{err}")
        self.code, self.out, self.err = code, out, err


class Lab:
    """One Aegis: `init` done, configuration written, not started yet."""

    def __init__(self, prefix, directory, ca=None, tools="", contexts="", gate="", extra="",
                 log_level="info"):
        self.prefix = Path(prefix)
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.bin = self.prefix / "bin" / "aegis"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = self.dir / "data"
        self.admin = self.dir / "admin.sock"
        self.log = self.dir / "gate.log"
        self.config = self.dir / "aegis.config.yaml"
        self.process = None
        ca_line = f"  ca_file: {ca.ca}\n" if ca else ""
        self.text = f"""\
gate:
  listen: 127.0.0.1:{self.port}
{gate}
vault:
  data_dir: {self.data}
admin:
  socket: {self.admin}
observability:
  log_level: {log_level}
  log_format: logfmt
egress:
{ca_line}  connect_timeout: 2s
{extra}
{contexts}
{tools}
"""
        self.env = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.dir),
            "AEGIS_CONFIG": str(self.config),
            **{k: v for k, v in os.environ.items() if k in ("ASAN_OPTIONS", "UBSAN_OPTIONS")},
        }

    def aegis(self, *args, stdin=None, check=True, env=None, timeout=60):
        done = subprocess.run(
            [str(self.bin), *map(str, args)], input=stdin, text=True, capture_output=True,
            env={**self.env, **(env or {})}, cwd=self.dir, timeout=timeout)
        if check and done.returncode != 0:
            raise CommandFailed(args, done.returncode, done.stdout, done.stderr)
        return done

    def json(self, *args, stdin=None):
        return json.loads(self.aegis(*args, "--json", stdin=stdin).stdout)

    def init(self):
        """`aegis init` as a newcomer types it; then the configuration of this lab."""
        self.config.unlink(missing_ok=True)
        self.aegis("init", "--data-dir", self.data, env={"AEGIS_CONFIG": ""})
        self.config.write_text(self.text)
        return self

    def start(self, seconds=15):
        self.log_file = open(self.log, "ab")
        before = self.log_file.seek(0, os.SEEK_END)  # of an earlier start
        self.process = subprocess.Popen(
            [str(self.bin), "gate"], env=self.env, cwd=self.dir,
            stdout=self.log_file, stderr=subprocess.STDOUT, start_new_session=True)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"aegis gate ended:\n{self.log.read_text()[-4000:]}")
            if b"is ready on" in self.log.read_bytes()[before:]:
                return self
            time.sleep(0.002)
        raise TimeoutError(f"aegis gate is not ready:\n{self.log.read_text()[-4000:]}")

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
                raise
        self.process = None

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    # -- what most tests need --

    def credential(self, name, service, secret, domains, *flags):
        if "--body-inspection" not in flags:  # most tests send what it would stop
            flags += ("--body-inspection", "off")
        self.aegis("vault", "add", "--name", name, "--service", service, "--domains", domains,
                   "--secret-stdin", *flags, stdin=secret)

    def agent(self, name, *credentials, contexts=()):
        token = self.json("agent", "add", "--name", name)["token"]
        for c in credentials:
            self.aegis("agent", "grant", "--agent", name, "--credential", c)
        for c in contexts:
            self.aegis("agent", "context", "--agent", name, "--context", c)
        return token

    def ledger(self, *args):
        """Rows, oldest first."""
        rows = self.json("ledger", "show", "--limit", "1000", *args)
        return sorted(rows, key=lambda r: r["seq"])

    def rows_of(self, request_id):
        return [r for r in self.ledger() if r.get("request") == request_id]

    def children(self):
        """{pid: command line} of every process below `aegis gate`."""
        found, todo = {}, [self.process.pid]
        while todo:
            pid = todo.pop()
            try:
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                todo += [int(c) for t in os.listdir(f"/proc/{pid}/task")
                         for c in Path(f"/proc/{pid}/task/{t}/children").read_text().split()]
            except FileNotFoundError:
                pass
        return found

    def pids(self, title):
        return [p for p, c in self.children().items() if c.startswith(title)]

    def remove(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
