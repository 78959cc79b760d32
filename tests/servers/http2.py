"""nghttpx, a proxy that speaks HTTP/2 with its clients, in front of another HTTPS server. Debian's package nghttp2-proxy starts a service where it
is installed, so tests/deps.sh does not bring it: where it is missing, the test is NOT RUN."""
import os
import shutil

from . import local


class Http2:
    def __init__(self, backend_port, authority):
        program = shutil.which("nghttpx", path=local.PATH)
        if not program:
            raise local.NotAvailable("nghttpx is not installed (Debian: nghttp2-proxy)")
        self.folder = local.make_folder("nf-http2-")
        cert, key = authority.certificate()
        self.port, self.log = local.free_port(), os.path.join(self.folder, "access")
        self.process = local.spawn(
            [program, "--conf=/dev/null", "--frontend", f"127.0.0.1,{self.port}", "--backend", f"127.0.0.1,{backend_port};;tls;sni=localhost", "--insecure",
             "--workers=1", "--accesslog-file", self.log, "--accesslog-format", "$alpn $status $request", "--no-ocsp", "--backend-read-timeout=30s", key, cert],
            os.path.join(self.folder, "output"))
        local.wait_for_port(self.port, alive=lambda: self.process.poll() is None)
        self.url = f"https://localhost:{self.port}"

    def requests(self):
        return local.read(self.log).splitlines()

    def stop(self):
        local.stop(self.process)
        local.remove_folder(self.folder)
