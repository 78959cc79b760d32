"""Steps that most system tests take: an endpoint, a target, a batch, and the move itself."""


def add_endpoint(nf, source, user, name="src", code=0, extra=()):
    return nf.run("endpoint", "create", name, "--host", "localhost", "--port", source.tls_port, "--ca-file", source.ca, "--test-user", user,
                  "--password-file", nf.secret_file(source.users[user]), *extra, code=code)


def add_exchange(nf, exosim, address, name="contoso", code=0, extra=("--settle-after", "2s")):
    return nf.run("target", "create", name, "--tenant", exosim.tenant, "--client-id", exosim.client, "--client-secret-file",
                  nf.secret_file(exosim.secret), "--login-url", exosim.login_url, "--imap-host", "localhost", "--imap-port", exosim.imaps,
                  "--ca-file", exosim.ca, "--test-user", address, "--probe-size", 0, *extra, code=code)


def add_imap_target(nf, server, address, name="other", code=0, extra=("--settle-after", "1s")):
    from servers.dovecot import MASTER
    return nf.run("target", "create", name, "--kind", "imap", "--host", "localhost", "--port", server.tls_port, "--ca-file", server.ca,
                  "--test-user", address, "--login-template", "%u*" + MASTER[0], "--password-file", nf.secret_file(MASTER[1]), *extra, code=code)


def add_batch(nf, rows, name="pilot", endpoint="src", target="contoso", extra=("--pilot",), code=0):
    """rows: (source user, password, address)."""
    text = "EmailAddress,UserName,Password\n" + "".join(f'{a},{u},"{p}"\n' for u, p, a in rows)
    path = nf.secret_file(text)
    return nf.run("batch", "create", name, "--endpoint", endpoint, "--target", target, "--csv", path, *extra, code=code)


def user_counts(nf, batch="pilot"):
    """{source user: counts} as status reports them."""
    return {u["source_user"]: u["counts"] for u in nf.run("batch", "status", batch, "--json").json()["users"]}


def verify(nf, batch="pilot", code=0):
    """The verdict and the sum over all folders of all users."""
    out = nf.run("batch", "verify", batch, "--json", code=code).json()
    total = {}
    for user in out["users"]:
        for folder in user.get("folders", []):
            for key, value in folder.items():
                if isinstance(value, int):
                    total[key] = total.get(key, 0) + value
    return out["verdict"], total
