#!/usr/bin/env python3
"""Runs a command with a PostgreSQL server of its own: with_postgres.py COMMAND [ARGUMENT ...]

The server is fresh, listens on a free port of the loopback interface and in its own folder, and is gone when the command ends, however
it ends. The command finds its address, with user and password, in PERDURE_TEST_POSTGRES. Ends as the command does.
"""
import glob, os, pwd, shutil, signal, socket, subprocess, sys, tempfile, time

USER, PASSWORD = "perdure", "perdure-test"
# Nothing has to survive this machine; connections are refused late, since many tests hold some at once.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200", "shared_buffers": "64MB", "timezone": "UTC"}


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


class Server:
    def __init__(self):
        self.programs, self.user, self.process = folder_of_programs(), other_user(), None
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
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = SETTINGS | {
            "port": str(self.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": self.folder}
        with open(f"{self.folder}/log", "wb") as log:
            self.process = subprocess.Popen(
                [f"{self.programs}/postgres", "-D", f"{self.folder}/data"] + [f"--{name}={value}" for name, value in settings.items()],
                stdout=log, stderr=log, **self.options())

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
        # What was killed may still be at its last write.
        for _ in range(50):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not os.path.exists(self.folder):
                break
            time.sleep(0.1)

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
    try:
        server.make()
        for attempt in range(5):
            server.start()
            if server.wait():
                break
        else:
            stop_with(f"the server did not start:\n{server.log()}")
        try:
            command = subprocess.Popen(sys.argv[1:], env=os.environ | {"PERDURE_TEST_POSTGRES": server.address})
        except OSError as error:
            stop_with(f"{sys.argv[1]}: {error.strerror}")
        code = command.wait()
    finally:
        server.stop()
    sys.exit(code if code >= 0 else 128 - code)


main()
