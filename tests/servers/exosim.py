"""exosim, the local Exchange Online, in front of a Dovecot of ours."""
import json
import os
import re
import ssl
import time
import urllib.parse
import urllib.request

from . import local
from .dovecot import MASTER

TENANT, CLIENT, SECRET = "contoso.example", "11111111-2222-3333-4444-555555555555", "exosim-client-secret~1"


FAULT = re.compile(r"\w+Sanitizer|runtime error: |Assertion .* failed")


class Exosim:
    """backend: a Dovecot whose users are the mailboxes' addresses. config: further members of exosim's configuration file. trace: all
    Graph traffic is written down; the fixture exosim_for has it validated at the test's end (servers/schema.py). Set checks_requests to
    False in a test that sends wrong requests on purpose."""

    def __init__(self, backend, *, authority=None, config=None, binary=None, options=(), trace=False):
        build = os.path.join(local.ROOT, os.environ.get("NF_BUILD", "build"))
        self.binary = os.path.abspath(binary or os.environ.get("NF_EXOSIM") or os.path.join(build, "exosim"))
        self.backend = backend
        self.folder = local.make_folder("nf-exosim-")
        self.authority = authority or local.Authority(self.folder)
        self.ca = self.authority.ca
        self.cert, self.key = self.authority.certificate()
        self.tenant, self.client, self.secret = TENANT, CLIENT, SECRET
        self.config = {"tenants": [TENANT], "apps": [{"id": CLIENT, "secret": SECRET}],
                       "mailboxes": [{"address": u} for u in backend.users], **(config or {})}
        self.options, self.checks_requests, self.trace = list(options), True, None
        if trace:
            self.trace = os.path.join(self.folder, "graph.jsonl")
            self.options += ["--trace-graph", self.trace]
        self.process = None
        self.start()

    def start(self, https=0, imaps=0, admin=0):
        """After a stop(keep=True) or kill() it comes back on the same ports."""
        config = os.path.join(self.folder, "config.json")
        with open(config, "w", encoding="utf-8") as f:
            json.dump(self.config, f)
        password = os.path.join(self.folder, "master-password")
        with open(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
            f.write(MASTER[1])
        output = os.path.join(self.folder, "output")
        start = os.path.getsize(output) if os.path.exists(output) else 0
        if self.process is None:
            self.ports = {"https": local.free_port(), "imaps": local.free_port(), "admin": local.free_port()}
        self.process = local.spawn(
            [self.binary, "--config", config, "--cert", self.cert, "--key", self.key, "--backend", f"127.0.0.1:{self.backend.port}",
             "--backend-master", MASTER[0], "--backend-master-password-file", password,
             *(x for name, port in self.ports.items() for x in (f"--{name}-port", str(port))), *self.options], output)
        end = time.monotonic() + 10 * local.SLOWER
        while True:
            ready = re.search(r"exosim ready https=(\d+) imaps=(\d+) admin=(\d+)", local.read(output)[start:])
            if ready:
                break
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("exosim does not start: " + local.read(output)[start:])
            time.sleep(0.01)
        self.https, self.imaps, self.admin = map(int, ready.groups())
        self.login_url = self.graph_url = f"https://localhost:{self.https}"
        self.tls_port = self.imaps

    def ask(self, path, data=None, method=None):
        """The admin port: GET, or POST of a JSON value; returns the parsed answer."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin}{path}", body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=10 * local.SLOWER) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def fault(self, kind, **spec):
        """A fault from now on; its id."""
        return self.ask("/fault", {"kind": kind, **spec})["id"]

    def fired(self, fault):
        return next(f["fired"] for f in self.ask("/state")["faults"] if f["id"] == fault)

    def clear_faults(self):
        self.ask("/fault", {}, "DELETE")

    def switch(self, **values):
        self.ask("/profile", values)

    def mailbox(self, address, **values):
        self.ask("/mailbox", {"address": address, **values})

    def roles(self, *names):
        """What the application is consented to: holds for tokens from now on."""
        self.ask("/app", {"id": CLIENT, "roles": list(names)})

    def counts(self, address):
        return self.ask("/state")["mailboxes"][address]

    def traced(self):
        """The Graph requests so far, oldest first."""
        if not self.trace or not os.path.exists(self.trace):
            return []
        with open(self.trace, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def token(self, resource="https://outlook.office365.com"):
        """An access token as nightferry would get it."""
        body = (f"grant_type=client_credentials&client_id={CLIENT}&client_secret={urllib.parse.quote(SECRET)}"
                f"&scope={urllib.parse.quote(resource, safe='')}%2F.default").encode()
        context = ssl.create_default_context(cafile=self.ca)
        with urllib.request.urlopen(f"{self.login_url}/{TENANT}/oauth2/v2.0/token", body, 10, context=context) as answer:
            return json.loads(answer.read())["access_token"]

    def output(self):
        return local.read(os.path.join(self.folder, "output"))

    def kill(self):
        """As a power cut would: SIGKILL. start() brings it back."""
        self.process.kill()
        self.process.wait()

    def stop(self, keep=False):
        local.stop(self.process)
        output = local.read(os.path.join(self.folder, "output"))
        if not keep:
            local.remove_folder(self.folder)
        assert not FAULT.search(output), "exosim: " + output[-6000:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
