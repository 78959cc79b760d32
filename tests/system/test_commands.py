"""What a person's mistakes may not do: break what is stored, look like success, or leave no way back."""
import ferry


def test_a_target_keeps_what_it_had_when_its_test_fails(nightferry, exosim):
    nf = nightferry
    ferry.add_exchange(nf, exosim, "alice@contoso.example")
    before = nf.run("target", "show", "contoso", "--json").json()
    out = nf.run("target", "set", "contoso", "--client-secret-file", nf.secret_file("wrong"), "--probe-size", 0, code=77)
    assert "not changed" in out.err and "FAIL" in out.out and "->" in out.out
    nf.run("target", "test", "contoso", "--probe-size", 0)
    # another mailbox's failure is not the target's
    nf.run("target", "test", "contoso", "--user", "nobody@contoso.example", "--probe-size", 0, code=77)
    after = nf.run("target", "show", "contoso", "--json").json()
    assert after["test_passed"] and after["proofs"][0]["mailbox"] == "alice@contoso.example"
    now = {"tested_at": 0, "proofs": []}
    assert {**after, **now} == {**before, **now}
    assert "nothing is given" in nf.run("target", "set", "contoso", code=64).err
    # a target that was made fails whole
    ferry.add_exchange(nf, exosim, "nobody@contoso.example", name="other", code=77)
    assert [t["name"] for t in nf.run("target", "list", "--json").json()] == ["contoso"]


def test_an_endpoint_keeps_what_it_had_when_its_test_fails(nightferry, dovecot_source):
    nf = nightferry
    ferry.add_endpoint(nf, dovecot_source, "alice")
    assert "not changed" in nf.run("endpoint", "set", "src", "--password-file", nf.secret_file("wrong"), code=77).err
    nf.run("endpoint", "test", "src")
    assert "nothing is given" in nf.run("endpoint", "set", "src", code=64).err


def test_the_engine_too_ends_with_a_document(nightferry, dovecot_source):
    ferry.add_endpoint(nightferry, dovecot_source, "alice")
    assert nightferry.run("run", "--once", "--json").json() == {"stopped": False, "exit_code": 0}


def test_new_passwords_and_a_batch_that_was_not_started(nightferry, dovecot_source, exosim, compare_mailboxes, dovecot_target):
    nf = nightferry
    for i in range(3):
        dovecot_source.maildir("bob").add(b"Subject: %d\r\n\r\nx\r\n" % i, (), ())
    ferry.add_endpoint(nf, dovecot_source, "alice")
    ferry.add_exchange(nf, exosim, "alice@contoso.example")
    ferry.add_batch(nf, [("alice", "pw-alice", "alice@contoso.example"), ("bob", "wrong", "bob@contoso.example")])
    assert "not started" in nf.run("batch", "verify", "pilot", code=64).err
    assert nf.run("batch", "show", "pilot", "--json").json()["verdict"] == ""
    status = nf.run("batch", "status", "pilot").out
    assert "Created                2" in status and "Next: nightferry batch start pilot --wait" in status and "Stopped" not in status
    out = nf.run("batch", "start", "pilot", "--wait", code=77).out
    assert "batch set pilot --csv" in out
    head = "EmailAddress,UserName,Password\n"
    stranger = nf.secret_file(head + "bob@contoso.example,bob,pw-bob\neve@contoso.example,eve,x\n")
    assert '"eve"' in nf.run("batch", "set", "pilot", "--csv", stranger, code=64).err
    readable = nf.file("readable.csv", head + "bob@contoso.example,bob,pw-bob\n")
    assert "others may read it" in nf.run("batch", "set", "pilot", "--csv", readable).err
    nf.run("batch", "start", "pilot", "--wait")
    compare_mailboxes((dovecot_source, "bob"), (dovecot_target, "bob@contoso.example"))
    assert "nothing to start" in nf.run("batch", "start", "pilot").out
    ferry.add_batch(nf, [("carol", "pw-carol", "carol@contoso.example")], name="wave", extra=())
    refused = nf.run("batch", "start", "wave", code=64).err
    assert "pilot is not verified as Good" in refused and "--pilot" not in refused, refused
    nf.run("batch", "delete", "pilot")
    refused = nf.run("batch", "start", "wave", code=64).err
    assert "there is none" in refused and "batch create --pilot" in refused, refused
    ferry.add_batch(nf, [("alice", "pw-alice", "alice@contoso.example")])
    assert "for megabytes write 5MB/s" in nf.run("batch", "set", "pilot", "--rate", "5", code=64).err


def test_lines_come_in_their_order_in_a_pipe(nightferry, dovecot_source):
    nf = nightferry
    out = nf.run("endpoint", "create", "src", "--host", "localhost", "--port", dovecot_source.tls_port, "--test-user", "alice",
                 "--password-file", nf.secret_file("x"), code=69)
    assert "FAIL  TLS" in out.out and out.err.startswith("nightferry: endpoint src is not saved: the test failed at: TLS")
