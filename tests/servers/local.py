"""What every private server needs: a folder, free ports, a certificate, and a stop that waits until the process is gone."""
import atexit
import fcntl
import functools
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATH = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
DEPS = os.path.join(ROOT, "build", "deps")


class NotAvailable(Exception):
    """This server cannot run on this machine; the text says why. A test that needs it is reported as NOT RUN."""


def make_folder(prefix="nf-"):
    """A private folder with a short path (Unix sockets hold 108 octets) that a server without rights can enter."""
    folder = tempfile.mkdtemp(prefix=prefix, dir="/tmp" if os.access("/tmp", os.W_OK) else None)
    os.chmod(folder, 0o755)
    return folder


def remove_folder(folder):
    shutil.rmtree(folder, ignore_errors=True)


def mail_owner():
    """(uid, gid) that servers give the mail: ours, or nobody's where we are root (they refuse to run as root)."""
    if os.getuid() != 0:
        return os.getuid(), os.getgid()
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


SLOWER = float(os.environ.get("NF_SLOWER", "1"))  # a sanitizer's build may take that many times as long
_given = set()


@functools.lru_cache(None)
def _claims():
    path = "/tmp/nf-test-ports"
    if not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR))
        os.chmod(path, 0o666)
    return os.open(path, os.O_RDWR)


def _claim(port):
    """Between the choice of a port and the server's bind no other test run may choose it: an octet of one file is locked until we end."""
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    except OSError: # not a file that we may lock: then it is luck, as it mostly is
        pass
    return True


def free_port():
    """Below the range that outgoing connections take their ports from, so that nobody takes it before the server does."""
    while True:
        port = random.SystemRandom().randint(20000, 32000)
        if port in _given or not _claim(port):
            continue
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


def wait_for_port(port, seconds=10.0, alive=lambda: True):
    end = time.monotonic() + seconds * SLOWER
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if not alive():
                break
            time.sleep(0.01)
    raise RuntimeError(f"nothing answers on port {port}")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def spawn(command, output, env=None, signal="TERM"):
    """A server in the foreground, its output in a file. It gets the signal when this program dies, however it dies. It has a process
    group of its own: Cyrus ends by a signal to the whole of its group."""
    with open(output, "ab") as f:
        return subprocess.Popen(["setpriv", "--pdeathsig", signal, *command], stdin=subprocess.DEVNULL, stdout=f, stderr=f, start_new_session=True,
                                env={**os.environ, "PATH": PATH, **(env or {})})


def stop(process, seconds=10.0):
    """SIGTERM, then SIGKILL after some seconds; returns when the process is gone."""
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


_dying = []


def stop_later(process, folder):
    """SIGTERM now; the folder goes when the process is gone (Dovecot takes a second for its good-bye, and nobody needs to watch)."""
    if process is not None and process.poll() is None:
        process.terminate()
    _dying.append((process, folder))
    for pair in [p for p in _dying if p[0] is None or p[0].poll() is not None]:
        _dying.remove(pair)
        remove_folder(pair[1])


@atexit.register
def _bury():
    for process, folder in _dying:
        stop(process)
        remove_folder(folder)


def openssl(*args):
    done = subprocess.run(["openssl", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise RuntimeError("openssl " + " ".join(args) + "\n" + done.stdout.decode("utf-8", "replace"))


class Authority:
    """A test CA and certificates signed by it. `ca` is the file to trust."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = os.path.join(folder, "ca.pem")
        self.ca_key = os.path.join(folder, "ca.key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
                "-subj", "/CN=nightferry test CA", "-keyout", self.ca_key, "-out", self.ca)

    def certificate(self, name="server", names=("DNS:localhost", "IP:127.0.0.1"), days=3650):
        """(certificate file, key file). days below 0 make one that has expired."""
        cert, key, request, extensions = (os.path.join(self.folder, name + end) for end in (".pem", ".key", ".csr", ".ext"))
        if os.path.exists(cert):
            return cert, key
        with open(extensions, "w", encoding="ascii") as f:
            f.write("subjectAltName=" + ",".join(names) + "\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                "/CN=" + names[0].split(":", 1)[1], "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial",
                "-days", str(days), "-extfile", extensions, "-out", cert)
        os.chmod(key, 0o644)  # a throw-away key; Cyrus reads it under another user
        return cert, key
