#!/usr/bin/env python3
"""Runs a command with a PostgreSQL server of its own, and two poolers in front of it: with_postgres.py COMMAND [ARGUMENT ...]

The server is fresh, listens on a free port of the loopback interface and in its own folder, and is gone when the command ends, however
it ends. Ends as the command does, which finds

  PERDURE_TEST_POSTGRES                  the server's address, with user and password
  PERDURE_TEST_CERTIFICATES              a folder: the server has TLS with server.crt, which ca.crt has signed and other.crt has not; it
                                         lets the role "certified" in by certificate only, such as client.crt with client.key
  PERDURE_TEST_POOLER_SESSION            the address of PgBouncer in front of the server, which has no TLS, in session mode,
  PERDURE_TEST_POOLER_TRANSACTION        and in transaction mode
  PGSSLMODE                              disable, which an address may overrule: some tests read what is sent
"""
import glob, os, pwd, shutil, signal, socket, subprocess, sys, tempfile, time

USER, PASSWORD = "perdure", "perdure-test"
# Nothing has to survive this machine; connections are refused late, since many tests hold some at once.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "300", "shared_buffers": "64MB", "timezone": "UTC"}


def stop_with(message):
    sys.exit(f"\nwith_postgres: {message}")


def folder_of_programs():
    def version(path):
        digits = path.split("/")[-2]
        return int(digits) if digits.isdigit() else 0

    for folder in sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=version, reverse=True):
        if os.path.exists(f"{folder}/initdb") and os.path.exists(f"{folder}/postgres"):
            return folder
    found = shutil.which("initdb")
    if found and shutil.which("postgres"):
        return os.path.dirname(os.path.realpath(found))
    stop_with("the server's programs (initdb, postgres) are not installed. Run this, then try again:\n\n    sudo apt-get install -y postgresql")


def other_user():
    """Who runs the server: it refuses to be run by root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    stop_with("the server cannot be run by root, and there is no user postgres or nobody.")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Server:
    def __init__(self):
        self.programs, self.user, self.process, self.certificates = folder_of_programs(), other_user(), None, None
        # Not below TMPDIR, which may be another user's alone; and the path of a socket must be short.
        self.folder = tempfile.mkdtemp(prefix="perdure-pg-", dir="/tmp")
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)

    def options(self):
        # In a group of its own, so that Ctrl-C reaches the command and not the server, which is stopped afterwards.
        options = {"cwd": self.folder, "start_new_session": True, "stdin": subprocess.DEVNULL}
        if self.user:
            options |= {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return options

    def make(self):
        secret = f"{self.folder}/secret"
        with open(secret, "w") as file:
            file.write(PASSWORD + "\n")
        if self.user:
            os.chown(secret, self.user.pw_uid, self.user.pw_gid)
        made = subprocess.Popen(
            [f"{self.programs}/initdb", "-D", f"{self.folder}/data", "-U", USER, "--pwfile", secret, "-E", "UTF8", "--locale=C",
             "--auth-local=scram-sha-256", "--auth-host=scram-sha-256", "--no-sync"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **self.options())
        try:
            output = made.communicate()[0]
        except BaseException:
            # With the servers that it starts itself.
            os.killpg(made.pid, signal.SIGKILL)
            made.wait()
            raise
        if made.returncode != 0:
            stop_with(f"initdb failed:\n{output.decode(errors='replace')}")

    def start(self):
        self.port = free_port()
        settings = SETTINGS | {
            "port": str(self.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": self.folder, "ssl": "on",
            "ssl_ca_file": f"{self.folder}/ca.crt", "ssl_cert_file": f"{self.folder}/server.crt",
            "ssl_key_file": f"{self.folder}/server.key"}
        with open(f"{self.folder}/log", "wb") as log:
            self.process = subprocess.Popen(
                [f"{self.programs}/postgres", "-D", f"{self.folder}/data"] + [f"--{name}={value}" for name, value in settings.items()],
                stdout=log, stderr=log, **self.options())

    def certify(self):
        """Makes two authorities, of which one certifies the server and a client, and lets the server use them."""
        if not shutil.which("openssl"):
            stop_with("openssl is not installed. Run this, then try again:\n\n    sudo apt-get install -y openssl")
        self.certificates = tempfile.mkdtemp(prefix="perdure-tls-", dir="/tmp")
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

        def openssl(*arguments):
            made = subprocess.run(["openssl", *arguments], cwd=self.certificates, capture_output=True)
            if made.returncode != 0:
                stop_with(f"openssl failed:\n{made.stderr.decode(errors='replace')}")

        for name in ("ca", "other"):
            openssl("req", "-x509", *key, "-days", "2", "-subj", f"/CN=perdure-test-{name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")
        with open(f"{self.certificates}/names", "w") as file:
            file.write("subjectAltName = DNS:localhost, IP:127.0.0.1\n")
        for name, subject in (("server", "localhost"), ("client", "certified")):
            openssl("req", *key, "-subj", f"/CN={subject}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
            openssl(
                "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "names", "-out", f"{name}.crt")
        for name in ("ca.crt", "server.crt", "server.key"):
            copy = shutil.copy(f"{self.certificates}/{name}", f"{self.folder}/{name}")
            if self.user:
                os.chown(copy, self.user.pw_uid, self.user.pw_gid)
        rules = f"{self.folder}/data/pg_hba.conf"
        with open(rules) as file:
            others = file.read()
        with open(rules, "w") as file:
            file.write("hostssl all certified 127.0.0.1/32 cert\n" + others)

    def log(self):
        with open(f"{self.folder}/log", errors="replace") as log:
            return log.read()

    def is_ready(self):
        # The last line of this file, which the server writes itself, says what it is doing.
        try:
            with open(f"{self.folder}/data/postmaster.pid") as file:
                return file.read().rstrip().endswith("ready")
        except OSError:
            return False

    def wait(self):
        """Another process may have taken the port since it was free."""
        deadline = time.monotonic() + 60
        while not self.is_ready():
            if self.process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                stop_with(f"the server has not started within a minute:\n{self.log()}")
            time.sleep(0.05)
        return True

    def stop(self):
        if self.process and self.process.poll() is None:
            # At once: connections are cut. A server that does not obey is killed with its children.
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        if self.certificates:
            shutil.rmtree(self.certificates, ignore_errors=True)
        # What was killed may still be at its last write.
        for _ in range(50):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not os.path.exists(self.folder):
                break
            time.sleep(0.1)

    @property
    def address(self):
        return f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"


class Pooler:
    """PgBouncer in front of the server, as the same user, for which nobody but the tests has the password."""

    def __init__(self, server, mode):
        self.server, self.mode, self.folder, self.process = server, mode, f"{server.folder}/pooler-{mode}", None

    def start(self):
        program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if not program:
            stop_with("PgBouncer is not installed. Run this, then try again:\n\n    sudo apt-get install -y pgbouncer")
        self.port = free_port()
        os.makedirs(self.folder, exist_ok=True)
        settings = {
            "listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "", "auth_type": "scram-sha-256",
            "auth_file": f"{self.folder}/users", "pool_mode": self.mode, "max_client_conn": 500, "default_pool_size": 60,
            # Each test has a database of its own, and the server has only so many connections.
            "server_idle_timeout": 1, "server_tls_sslmode": "disable", "client_tls_sslmode": "disable",
        }
        with open(f"{self.folder}/users", "w") as file:
            file.write(f'"{USER}" "{PASSWORD}"\n')
        with open(f"{self.folder}/settings", "w") as file:
            file.write(f"[databases]\n* = host=127.0.0.1 port={self.server.port}\n[pgbouncer]\n")
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        with open(f"{self.folder}/log", "wb") as log:
            self.process = subprocess.Popen(
                [program, f"{self.folder}/settings"], stdout=log, stderr=log, **self.server.options())

    def wait(self):
        deadline = time.monotonic() + 60
        while self.process.poll() is None:
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        with open(f"{self.folder}/log", errors="replace") as log:
            stop_with(f"PgBouncer has not started:\n{log.read()}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def address(self):
        return f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    command = None

    def end(number, _):
        # Ctrl-C has reached the command already; of other signals only we know.
        if command and command.poll() is None:
            if number != signal.SIGINT:
                command.send_signal(number)
        else:
            sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    server = Server()
    poolers = {mode: Pooler(server, mode) for mode in ("session", "transaction")}
    try:
        server.make()
        server.certify()
        for attempt in range(5):
            server.start()
            if server.wait():
                break
        else:
            stop_with(f"the server did not start:\n{server.log()}")
        for pooler in poolers.values():
            pooler.start()
        for pooler in poolers.values():
            pooler.wait()
        places = {f"PERDURE_TEST_POOLER_{mode.upper()}": pooler.address for mode, pooler in poolers.items()}
        places |= {"PERDURE_TEST_POSTGRES": server.address, "PERDURE_TEST_CERTIFICATES": server.certificates, "PGSSLMODE": "disable"}
        try:
            command = subprocess.Popen(sys.argv[1:], env=os.environ | places)
        except OSError as error:
            stop_with(f"{sys.argv[1]}: {error.strerror}")
        code = command.wait()
    finally:
        for pooler in poolers.values():
            pooler.stop()
        server.stop()
    sys.exit(code if code >= 0 else 128 - code)


main()
