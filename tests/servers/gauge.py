"""A TCP relay that notes when how many octets passed it, each way: what a line would have carried."""
import socket
import threading
import time


class Gauge:
    """Listens on `port`, forwards to target_port. Its buffers are small, so that what it passes on was taken by the other side."""

    def __init__(self, target_port):
        self.target_port = target_port
        self.up, self.down = [], []  # (moment, octets), to the server and from it
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                return
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
            for source, to, notes in ((client, server, self.up), (server, client, self.down)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass, args=(source, to, notes), daemon=True).start()

    @staticmethod
    def _pass(source, to, notes):
        try:
            while data := source.recv(8192):
                notes.append((time.monotonic(), len(data)))
                to.sendall(data)
        except OSError:
            pass
        for sock in (source, to):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @staticmethod
    def most(notes, seconds, since=0.0):
        """The most octets within any such time."""
        best = held = first = 0
        notes = [n for n in list(notes) if n[0] >= since]
        for moment, octets in notes:
            held += octets
            while notes[first][0] < moment - seconds:
                held -= notes[first][1]
                first += 1
            best = max(best, held)
        return best

    def stop(self):
        self.listener.close()
