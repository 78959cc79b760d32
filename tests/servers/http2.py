"""nghttpx, a proxy that speaks HTTP/2 with its clients, in front of another HTTPS server. Debian's package nghttp2-proxy starts a service where it
is installed: tests/deps.sh only unpacks it."""
import os

from . import local

TREE = os.path.join(local.DEPS, "http2")


class Http2:
    def __init__(self, backend_port, authority):
        if not os.path.exists(os.path.join(TREE, ".complete")):
            raise local.NotAvailable("build/deps/http2 is not there: run `make deps`")
        self.folder = local.make_folder("nf-http2-")
        cert, key = authority.certificate()
        self.port, self.log = local.free_port(), os.path.join(self.folder, "access")
        self.process = local.spawn(
            [os.path.join(TREE, "usr/sbin/nghttpx"), "--conf=/dev/null", "--frontend", f"127.0.0.1,{self.port}", "--backend", f"127.0.0.1,{backend_port};;tls;sni=localhost", "--insecure",
             "--workers=1", "--accesslog-file", self.log, "--accesslog-format", "$alpn $status $request", "--no-ocsp", "--backend-read-timeout=30s", key, cert],
            os.path.join(self.folder, "output"), env={"LD_LIBRARY_PATH": os.path.join(TREE, "usr/lib/x86_64-linux-gnu")})
        local.wait_for_port(self.port, alive=lambda: self.process.poll() is None)
        self.url = f"https://localhost:{self.port}"

    def requests(self):
        return local.read(self.log).splitlines()

    def stop(self):
        local.stop(self.process)
        local.remove_folder(self.folder)
