"""exosim's token endpoint: credentials are really checked, and a refusal reads as Microsoft's."""
import base64
import json
import re
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from servers.exosim import CLIENT, SECRET, TENANT

SCOPE = "https://outlook.office365.com/.default"
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def post(exosim, body, tenant=TENANT, headers=None, method="POST"):
    """(status, JSON)"""
    if isinstance(body, dict):
        body = urllib.parse.urlencode(body)
    request = urllib.request.Request(f"{exosim.login_url}/{tenant}/oauth2/v2.0/token", body.encode(), headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20, context=ssl.create_default_context(cafile=exosim.ca)) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


def form(**changes):
    fields = {"client_id": CLIENT, "scope": SCOPE, "grant_type": "client_credentials", "client_secret": SECRET, **changes}
    return {k: v for k, v in fields.items() if v is not None}


def test_a_token(exosim):
    status, answer = post(exosim, form())
    assert status == 200
    assert answer["token_type"] == "Bearer" and answer["expires_in"] == 3599 and set(answer) == {
        "token_type", "expires_in", "ext_expires_in", "access_token"}
    claims = json.loads(base64.urlsafe_b64decode(answer["access_token"].split(".")[1] + "=="))
    assert claims["aud"] == "https://outlook.office365.com" and claims["appid"] == CLIENT and claims["exp"] - claims["iat"] == 3599
    assert 1000 < len(answer["access_token"]) < 4000
    assert exosim.ask("/state")["tokens"] == {"issued": 1, "refused": 0}


@pytest.mark.parametrize("changes,tenant,status,error,code", [
    ({"client_secret": "wrong"}, TENANT, 401, "invalid_client", 7000215),
    ({"client_secret": None}, TENANT, 401, "invalid_client", 7000216),
    ({"client_id": "99999999-0000-0000-0000-000000000000"}, TENANT, 400, "unauthorized_client", 700016),
    ({"client_id": None}, TENANT, 400, "invalid_request", 900144),
    ({"scope": None}, TENANT, 400, "invalid_request", 900144),
    ({"grant_type": None}, TENANT, 400, "invalid_request", 900144),
    ({"grant_type": "password"}, TENANT, 400, "unsupported_grant_type", 70003),
    ({"scope": "https://outlook.office365.com/IMAP.AccessAsApp"}, TENANT, 400, "invalid_scope", 1002012),
    ({"scope": SCOPE + " https://graph.microsoft.com/.default"}, TENANT, 400, "invalid_scope", 70011),
    ({"scope": "https://example.org/.default"}, TENANT, 400, "invalid_resource", 500011),
    ({}, "fabrikam.example", 400, "invalid_request", 90002),
])
def test_refusals(exosim, changes, tenant, status, error, code):
    got, answer = post(exosim, form(**changes), tenant)
    assert (got, answer["error"], answer["error_codes"]) == (status, error, [code])
    assert answer["error_description"].startswith(f"AADSTS{code}: ")
    assert set(answer) == {"error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id", "error_uri"}
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer["trace_id"])
    assert SECRET not in json.dumps(answer) and SECRET not in exosim.output()


@pytest.mark.parametrize("body", ["client_id=%zz", "client_id=a&client_id=b", "client_id", "=x", "client_id=a%00b", "a=\x7f", "x" * 70000],
                         ids=lambda v: v[:20].encode("unicode_escape").decode())
def test_malformed_forms(exosim, body):
    status, answer = post(exosim, body)
    assert status == 400 and answer["error_codes"] == [9002313]


def test_only_forms_and_only_here(exosim):
    body = urllib.parse.urlencode(form())
    assert post(exosim, body, headers={"Content-Type": "application/json"})[1]["error_codes"] == [9002313]
    assert post(exosim, body, method="PUT")[1]["error_codes"] == [9002313]
    assert post(exosim, body, tenant=TENANT + "/x")[0] == 404


def test_expired_secret(exosim_for, dovecot_target):
    exosim = exosim_for(dovecot_target, config={"apps": [{"id": CLIENT, "secret": SECRET, "secret_expired": True}]})
    assert post(exosim, form())[1]["error_codes"] == [7000222]
    assert post(exosim, form(client_secret="wrong"))[1]["error_codes"] == [7000215]


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout


@pytest.fixture(name="keys", scope="module")
def _keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    made = {}
    for name in ("app", "other"):
        key, cert = folder / f"{name}.key", folder / f"{name}.pem"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(cert))
        made[name] = (str(key), str(cert))
    return made


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def thumbprint(cert):
    der = openssl("x509", "-in", cert, "-outform", "DER")
    return b64(base64.b16decode(openssl("dgst", "-sha256", "-r", data=der)[:64].upper())).decode()


def assertion(exosim, key, cert, header=None, saltlen="digest", **claims):
    now = int(time.time())
    head = {"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint(cert), **(header or {})}
    body = {"aud": f"{exosim.login_url}/{TENANT}/oauth2/v2.0/token", "iss": CLIENT, "sub": CLIENT, "jti": f"{now}-{id(claims)}",
            "nbf": now - 5, "iat": now, "exp": now + 300, **claims}
    text = b64(json.dumps({k: v for k, v in head.items() if v}).encode()) + b"." + b64(json.dumps(
        {k: v for k, v in body.items() if v is not None}).encode())
    mac = openssl("dgst", "-sha256", "-sign", key, "-sigopt", "rsa_padding_mode:pss", "-sigopt", f"rsa_pss_saltlen:{saltlen}", data=text)
    return (text + b"." + b64(mac)).decode()


def test_certificate(exosim_for, dovecot_target, keys):
    key, cert = keys["app"]
    exosim = exosim_for(dovecot_target, config={"apps": [{"id": CLIENT, "certificate": cert}]})

    def ask(text, **more):
        return post(exosim, form(client_secret=None, client_assertion_type=BEARER, client_assertion=text, **more))
    assert ask(assertion(exosim, key, cert))[0] == 200
    now = int(time.time())
    other_key, other_cert = keys["other"]
    good = assertion(exosim, key, cert)
    for text, code in [
        (assertion(exosim, other_key, other_cert), 700027),
        (assertion(exosim, other_key, cert), 700027),
        (assertion(exosim, key, cert, saltlen="20"), 700027),
        (assertion(exosim, key, cert, header={"alg": "RS256"}), 50027),
        (assertion(exosim, key, cert, header={"alg": "none"}), 50027),
        (assertion(exosim, key, cert, header={"x5t#S256": None}), 50027),
        (assertion(exosim, key, cert, exp=now - 400), 700024),
        (assertion(exosim, key, cert, nbf=now + 400), 700024),
        (assertion(exosim, key, cert, exp=now + 100000), 700024),
        (assertion(exosim, key, cert, exp=None), 50027),
        (assertion(exosim, key, cert, jti=None), 50027),
        (assertion(exosim, key, cert, iss="someone"), 700021),
        (assertion(exosim, key, cert, sub="someone"), 700021),
        (assertion(exosim, key, cert, aud="https://login.microsoftonline.com/x"), 700023),
        (good[:-4], 700027), (good + ".x", 50027), ("x", 50027), ("..", 50027), (good.replace(".", "!"), 50027),
    ]:
        status, answer = ask(text)
        assert (status, answer["error"], answer["error_codes"]) == (401, "invalid_client", [code]), answer
    assert post(exosim, form(client_secret=None, client_assertion=good))[1]["error_codes"] == [900144]
    assert ask(good, client_id=CLIENT)[0] == 200
    assert post(exosim, form())[1]["error_codes"] == [7000215]  # no secret is registered
    exosim.ask("/profile", {"assertion_once": 1})
    assert ask(good)[1]["error_codes"] == [50013]
    assert ask(assertion(exosim, key, cert, jti="fresh"))[0] == 200


def test_token_faults(exosim):
    exosim.ask("/fault", {"kind": "token_error", "count": 2})
    exosim.ask("/fault", {"kind": "token_slow", "ms": 300, "nth": 1})
    start = time.monotonic()
    assert post(exosim, form())[0] == 503
    status, answer = post(exosim, form())
    assert status == 503 and answer["error"] == "temporarily_unavailable"
    assert post(exosim, form())[0] == 200
    assert time.monotonic() - start >= 0.29
