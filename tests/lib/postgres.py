# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL on a temporary directory, never the system's cluster: on a UNIX socket and a
port of loopback, everyone with a password. As root it runs as the user of Debian's package."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
from lab import free_port

BIN = Path("/usr/lib/postgresql/15/bin")
ADMIN = "keeper"  # who makes and drops users, in OpenBao's name
# OpenBao's statements. A request that breaks off can leave it a lease whose user is gone already.
CREATE = ["CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'",
          'GRANT SELECT ON notes TO "{{name}}"']
DROP = ["DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{{name}}') THEN "
        'REVOKE ALL ON notes FROM "{{name}}"; DROP ROLE "{{name}}"; END IF; END $$']


class Postgres:
    def __init__(self, password):
        self.dir = Path(tempfile.mkdtemp(prefix="aegis-postgres-"))
        self.dir.chmod(0o755)  # tool servers of other users come in by the socket
        self.password = password
        self.port = free_port()
        self.process = None
        self.user = {}
        if os.getuid() == 0:
            entry = pwd.getpwnam("postgres")
            os.chown(self.dir, entry.pw_uid, entry.pw_gid)
            self.user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        secret = self.dir / "password"
        secret.write_text(password)
        secret.chmod(0o644)
        self.run("initdb", "-D", self.dir / "data", "-U", ADMIN, "--auth=scram-sha-256",
                 f"--pwfile={secret}", "--no-sync", "-E", "UTF8", "--locale=C")
        secret.unlink()
        self.start()

    def run(self, program, *args):
        subprocess.run([BIN / program, *map(str, args)], check=True, capture_output=True,
                       cwd=self.dir, env={"PATH": "/usr/bin:/bin", "HOME": str(self.dir)}, **self.user)

    def start(self):
        (self.dir / "data" / "postmaster.pid").unlink(missing_ok=True)  # of one that was killed
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(
                [BIN / "postgres", "-D", self.dir / "data", "-p", str(self.port), "-k", self.dir,
                 "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=400",
                 "-c", "shared_buffers=16MB", "-c", "password_encryption=scram-sha-256"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.dir,
                env={"PATH": "/usr/bin:/bin"}, start_new_session=True, **self.user)
        end = time.monotonic() + 20
        while True:
            try:
                self.query("SELECT 1")
                return self
            except psycopg.OperationalError:
                assert time.monotonic() < end, (self.dir / "log").read_text()[-3000:]
                time.sleep(0.05)

    def connect(self):
        return psycopg.connect(host="127.0.0.1", port=self.port, user=ADMIN, password=self.password,
                               dbname="postgres", autocommit=True)

    def query(self, sql, *args):
        with self.connect() as c:
            cursor = c.execute(sql, args)
            return cursor.fetchall() if cursor.description else []

    def users(self, role=""):
        """Those that OpenBao has made, for roles that begin so."""
        return sorted(r[0] for r in self.query("SELECT rolname FROM pg_roles WHERE rolname LIKE %s",
                                               f"v-%-{role}%"))

    def kill(self):
        """Away, with everybody who was connected."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGQUIT)
            self.process.wait(10)

    def stop(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)
