"""target setup, teardown, inventory: the scripts are of the language, use only what Microsoft documents, and what is data stays data."""
import re
import subprocess

import pytest

import powershell
from servers.exosim import CLIENT

NASTY = ["ann@contoso.example", "o'brien@contoso.example", "x'|Remove-Mailbox|'@contoso.example", "$env:PATH@contoso.example",
         "`backtick@contoso.example", "{brace}@contoso.example", "jürgen.größe@contoso.example", "’|Remove-Item|’@contoso.example",
         "‘curly‛@contoso.example", "emoji😀@contoso.example", "*@contoso.example", "#comment@contoso.example"]
PILOT = "'); Remove-Mailbox -Identity \"x\"; $(Remove-Item y); ('@contoso.example"  # the CSV refuses such; this is a setting


def target(nf, *extra, name="contoso", client=CLIENT):
    return nf.run("target", "create", name, "--tenant", "contoso.example", "--client-id", client, "--client-secret-file",
                  nf.secret_file("secret"), "--skip-test", "--test-user", PILOT, *extra)


def batch(nf, addresses, name="pilot", into="contoso"):
    if not nf.run("endpoint", "list", "--json").json():
        nf.run("endpoint", "create", "src", "--host", "127.0.0.1", "--port", "1", "--test-user", "a", "--password-file",
               nf.secret_file("x"), "--skip-test")
    rows = "EmailAddress,UserName,Password\n" + "".join('"%s",u%d,p\n' % (a.replace('"', '""'), i) for i, a in enumerate(addresses))
    nf.run("batch", "create", name, "--endpoint", "src", "--target", into, "--csv", nf.secret_file(rows), "--pilot")


def script(nf, verb, *extra, name="contoso"):
    text = nf.run("target", verb, name, *extra).out
    assert nf.run("target", verb, name, *extra, "--json").json()["script"] == text
    found, used = powershell.check(text)
    return text, found, used


def steps(text):
    return re.findall(r"^# ---- (.*)$", text, re.M)


IMAP_ONLY = [("New-ServicePrincipal", "Remove-ServicePrincipal"), ("Add-MailboxPermission", "Remove-MailboxPermission"),
             ("Set-CASMailbox", "Set-CASMailbox")]
MIME_ONLY = [("New-DistributionGroup", "Remove-DistributionGroup"), ("Add-DistributionGroupMember", "Remove-DistributionGroupMember"),
             ("New-ApplicationAccessPolicy", "Remove-ApplicationAccessPolicy")]
BOTH = [("New-MgServicePrincipalAppRoleAssignment", "Remove-MgServicePrincipalAppRoleAssignment"), ("Set-Mailbox", "Set-Mailbox"),
        ("New-MgServicePrincipal", "Remove-MgServicePrincipal")]


@pytest.mark.parametrize("routes", ["imap", "mime", "mime,imap"])
def test_scripts(nightferry, routes):
    nf = nightferry
    target(nf, "--routes", routes)
    batch(nf, NASTY)
    wanted = BOTH + (IMAP_ONLY if "imap" in routes else []) + (MIME_ONLY if "mime" in routes else [])
    text, found, used = script(nf, "setup", "--batch", "pilot")
    assert set(powershell.strings(found)) >= set(NASTY) | {PILOT, "contoso", "contoso.example", CLIENT}
    assert "Remove-Mailbox" not in used and "Remove-Item" not in used
    assert all(there in used for there, _ in wanted)
    unwanted = [pair for pair in IMAP_ONLY + MIME_ONLY if pair not in wanted]
    assert not any(there in used for there, _ in unwanted)
    for role in ["IMAP.AccessAsApp"] * ("imap" in routes) + ["Mail-Advanced.ReadWrite.All", "Mail.ReadWrite", "User.Read.All"] * ("mime" in routes):
        assert f"'{role}'" in text
    assert ("classic mistake" in text) == ("imap" in routes)
    back, found, used = script(nf, "teardown", "--batch", "pilot")
    assert all(back_again in used for _, back_again in wanted) and not any(back_again in used for _, back_again in unwanted)
    assert not any(c.startswith(("Add-", "New-S", "New-D", "New-A")) for c in used)
    # each step has its inverse, from the last to the first
    assert steps(back) == steps(text)[::-1]
    saved = set(re.findall(r"Save-Before ['\"]([A-Za-z]+)", text.split("# ----", 1)[1])) | {"Role"}
    read = set(re.findall(r"\$Old\[['\"]([A-Za-z]+)", back))
    assert saved == read
    text, found, used = script(nf, "inventory", "--batch", "pilot")
    assert not any(c.startswith(("New-", "Set-", "Add-", "Remove-", "Update-")) for c in used), "an inventory changes nothing"
    assert re.findall(r"^        (\w+) = ", text, re.M) == [
        "EmailAddress", "UserPrincipalName", "ObjectId", "Type", "ProxyAddresses", "Licensed", "QuotaBytes", "UsedBytes", "ImapEnabled",
        "MaxReceiveSizeBytes", "LitigationHold", "RetentionHold", "RecoverableItemsQuotaBytes", "RecoverableItemsUsedBytes", "ArchiveStatus"]
    assert "Get-Mailbox -ResultSize Unlimited" in script(nf, "inventory", "--all")[0]


def test_teardown_while_another_batch_moves(nightferry):
    nf = nightferry
    target(nf)
    batch(nf, ["ann@contoso.example"])
    batch(nf, ["bob@contoso.example"], name="wave1")
    _, found, used = script(nf, "teardown", "--batch", "pilot")
    assert "Remove-MailboxPermission" in used and "Remove-ServicePrincipal" not in used
    assert "ann@contoso.example" in powershell.strings(found) and "bob@contoso.example" not in powershell.strings(found)
    text, found, used = script(nf, "teardown")
    assert "Remove-ServicePrincipal" in used and "bob@contoso.example" in powershell.strings(found) and "still uses" not in text


def test_certificate_and_clouds(nightferry):
    nf = nightferry
    key, cert = nf.folder + "/k.pem", nf.folder + "/c.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-subj", "/CN=ferry",
                    "-days", "30"], check=True, capture_output=True)
    nf.run("target", "create", "china", "--tenant", "contoso.example", "--client-id", CLIENT, "--certificate", cert, "--private-key", key,
           "--cloud", "china", "--skip-test")
    text, found, _ = script(nf, "setup", name="china")
    body = "".join(open(cert, encoding="ascii").read().split("-----")[2].split())
    assert body in powershell.strings(found) and "PRIVATE" not in text
    assert "-Environment China " in text and "-ExchangeEnvironmentName O365China " in text
    script(nf, "teardown", name="china")
    out = nf.run("target", "set", "china", "--routes", "mime,imap", "--skip-test", code=64).err
    assert "mime does not exist in the cloud china" in out and "worldwide" in out
    assert "there are global, usgov, dod, china" in nf.run("target", "set", "china", "--cloud", "gov", "--skip-test", code=64).err


def test_ceiling_is_a_persons(nightferry):
    """Graph's published limits are where it starts; who knows of more says so."""
    target(nightferry)
    assert nightferry.run("target", "show", "contoso", "--json").json()["graph_ceiling"] == 100
    nightferry.run("target", "set", "contoso", "--graph-ceiling", "300", "--skip-test")
    assert nightferry.run("target", "show", "contoso", "--json").json()["graph_ceiling"] == 300
    assert "up to 300% of Graph's published limits" in nightferry.run("target", "show", "contoso").out
    for wrong in ("5", "1001", "many"):
        assert "--graph-ceiling" in nightferry.run("target", "set", "contoso", "--graph-ceiling", wrong, "--skip-test", code=64).err


def test_what_is_refused(nightferry):
    nf = nightferry
    target(nf, client="not-an-id")
    assert "client id" in nf.run("target", "setup", "contoso", code=64).err
    nf.run("target", "create", "other", "--kind", "imap", "--host", "h", "--password-file", nf.secret_file("x"), "--skip-test")
    assert "not Exchange Online" in nf.run("target", "inventory", "other", code=64).err
    target(nf, name="empty")
    batch(nf, ["ann@contoso.example"])
    assert "does not go into target empty" in nf.run("target", "setup", "empty", "--batch", "pilot", code=64).err
    assert "names no mailbox" not in nf.run("target", "setup", "empty").err  # the pilot


@pytest.mark.parametrize("broken", [
    "if ($a) { Get-Mailbox -Identity 'x' ", "Get-Mailbox -Identity 'x", 'Write-Host "x', "Get-Mailbx -Identity 'x'\n", "Get-Mailbox -Identty 'x'\n",
    "Get-Mailbox -Identity 'o'brien'\n", "Set-CASMailbox -Identity 'x' -MaxReceiveSize 1\n", "Get-Mailbox)\n", "Write-Host 'ü'\n",
    "Get-Mailbox -Identity ''; Remove-Mailbox ''\n"])
def test_the_checker_sees_what_is_broken(broken):
    with pytest.raises(powershell.Bad):
        powershell.check(broken)
