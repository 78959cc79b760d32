"""A TCP proxy that breaks connections on purpose; TLS passes through it as well. Deterministic by seed, except for the network's own
chunks. Faults can be changed while it runs: proxy.faults = Faults(rst_at=5000)."""
import dataclasses
import random
import select
import socket
import struct
import threading
import time


@dataclasses.dataclass
class Faults:
    """Octets are counted from the server to the client unless up=True, for each connection."""
    rst_at: int = None        # RST after so many octets
    fin_at: int = None        # orderly close after so many
    hang_at: int = None       # swallow everything after so many, the connection stays open
    cut_mean: int = None      # RST at a random place, exponentially distributed with this mean
    flip_at: int = None       # turn one bit of this octet
    delay_s: float = 0.0      # before each chunk
    rate: int = None          # octets a second
    split: int = None         # forward in pieces of so many octets
    refuse: float = 0.0       # share of connections that are reset at once
    up: bool = False          # the faults apply to what the client sends
    times: int = None         # only to the first so many connections (None: all)


class Chaos:
    """Listens on `port`, forwards to target_port. Use as a context manager or call stop()."""

    def __init__(self, target_port, faults=None, seed=1):
        self.target_port, self.faults = target_port, faults or Faults()
        self.random = random.Random(seed)
        self.connections = 0      # accepted so far
        self.broken = 0           # connections that a fault ended
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(128)
        self.port = self.listener.getsockname()[1]
        self.stopping = False
        self.open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.stopping:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            faults = self.faults
            if faults.times is not None and self.connections > faults.times:
                faults = Faults()
            if self.random.random() < faults.refuse:
                self._reset(client)
                continue
            limit = int(self.random.expovariate(1 / faults.cut_mean)) if faults.cut_mean else None
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                self._reset(client)
                continue
            threading.Thread(target=self._serve, args=(client, server, faults, limit), daemon=True).start()

    def _reset(self, sock):
        self.broken += 1
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        except OSError:
            pass

    def _serve(self, client, server, faults, limit):
        pair = (client, server)
        self.open |= set(pair)
        state = {"count": 0, "hung": False}
        try:
            while True:
                for sock in select.select(pair, [], [])[0]:
                    data = sock.recv(min(65536, max(1024, (faults.rate or 1 << 20) // 8)))  # a rate in small steps
                    to = server if sock is client else client
                    if not data:
                        return
                    if (sock is client) != faults.up:
                        to.sendall(data)
                    elif not self._damage(data, to, pair, faults, limit, state):
                        return
        except (OSError, ValueError):
            pass
        finally:
            for sock in pair:
                self.open.discard(sock)
                try:
                    sock.close()
                except OSError:
                    pass

    def _damage(self, data, to, pair, faults, limit, state):
        """Forwards with faults; False when the connection is over."""
        if state["hung"]:
            return True
        start, state["count"] = state["count"], state["count"] + len(data)
        if faults.delay_s:
            time.sleep(faults.delay_s)
        if faults.flip_at is not None and start <= faults.flip_at < state["count"]:
            data = bytearray(data)
            data[faults.flip_at - start] ^= 1
        for kind, at in (("rst", faults.rst_at), ("rst", limit), ("fin", faults.fin_at), ("hang", faults.hang_at)):
            if at is None or state["count"] <= at:
                continue
            to.sendall(data[:max(0, at - start)])
            if kind == "hang":
                state["hung"] = True
                return True
            time.sleep(0.02) # let what was sent arrive before it
            if kind == "rst":
                for sock in pair:
                    self._reset(sock)
            else:
                self.broken += 1
            return False
        step = faults.split or len(data)
        for i in range(0, len(data), step):
            to.sendall(data[i:i + step])
        if faults.rate:
            time.sleep(len(data) / faults.rate)
        return True

    def cut_all(self):
        """Resets every connection that is open now."""
        for sock in list(self.open):
            self._reset(sock)

    def stop(self):
        self.stopping = True
        self.listener.close()
        self.cut_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
