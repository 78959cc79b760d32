"""exosim's Graph: what the service takes, keeps, shows and refuses, with what IMAP shows of the same mailbox. All of it is validated against
Microsoft's metadata when a test ends (tests/servers/schema.py)."""
import base64
import datetime
import json
import os
import time

import pytest

from servers import schema
from servers.graph import Graph
from servers.maildir import from_utf7
from servers.rawimap import RawImap

pytestmark = pytest.mark.san

ALICE, BOB = "alice@contoso.example", "bob@contoso.example"
DATE = "Mon, 02 Jan 2006 15:04:05 +0000"


def mime(n=1, *, received=None, date=DATE, body=b"hello\r\n", extra="", message_id=True):
    head = f"Received: from x by y; {received}\r\n" if received else ""
    head += f"Message-ID: <{n}@example.org>\r\n" if message_id else ""
    return f"{head}From: =?utf-8?q?J=C3=B6rg?= <j@example.org>\r\nTo: x@example.org, Y <y@example.org>\r\nSubject: no {n}\r\nDate: {date}\r\n{extra}\r\n".encode() + body


@pytest.fixture
def graph(exosim):
    g = Graph(exosim, ALICE)
    yield g
    g.close()


def imap(exosim, user=ALICE):
    c = RawImap(exosim.imaps, tls=True, ca=exosim.ca)
    c.xoauth2(user, exosim.token())
    return c


def names(c):
    return {from_utf7(n.decode()) for n, _, _ in c.folders()}


def stored(exosim, folder, user=ALICE):
    """[(flags and keywords, received, octets)] as IMAP shows them."""
    c = imap(exosim, user)
    c.command(f'EXAMINE "{folder}"')
    found = []
    for line, literals in c.command("UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])"):
        if b" FETCH (" in line:
            flags = line[line.index(b"FLAGS (") + 7:].split(b")")[0].decode().split()
            found.append((set(flags) - {"\\Recent"}, line.split(b'INTERNALDATE "')[1].split(b'"')[0].decode(), literals[0]))
    return found


def test_an_import_is_no_draft_and_keeps_its_octets(exosim, graph):
    folder = graph.folder("Post")
    answer = graph.put(folder, mime())
    assert answer.status == 201 and answer.json["isDraft"] is False and answer.json["isRead"] is False
    assert answer.json["internetMessageId"] == "<1@example.org>" and answer.json["parentFolderId"] == folder
    assert answer.json["from"]["emailAddress"] == {"name": "Jörg", "address": "j@example.org"}
    assert answer.headers["Location"].endswith(answer.json["id"])
    assert graph.ask("GET", f"/messages/{answer.json['id']}/$value").body == mime()
    assert stored(exosim, "Post") == [(set(), "02-Jan-2006 15:04:05 +0000", mime())]
    assert exosim.counts(ALICE)["graph_imported"] == 1


def test_a_plain_create_is_a_draft_for_ever(exosim, graph):
    answer = graph.put("drafts", mime(), "messages")
    assert answer.status == 201 and answer.json["isDraft"] is True
    assert graph.ask("PATCH", f"/messages/{answer.json['id']}", {"isDraft": False}).json["isDraft"] is True
    assert stored(exosim, "Drafts")[0][0] == {"\\Draft", "\\Seen"}
    # POST /users/{u}/messages is the drafts folder's
    again = graph.send("POST", f"/v1.0/users/{ALICE}/messages", base64.b64encode(mime(2)), graph.headers(**{"Content-Type": "text/plain"}))
    assert again.status == 201 and again.json["parentFolderId"] == answer.json["parentFolderId"]


def test_patch_is_what_imap_shows(exosim, graph):
    item = graph.put("inbox", mime()).json["id"]
    answer = graph.ask("PATCH", f"/messages/{item}", {"isRead": True, "flag": {"flagStatus": "flagged"}, "categories": ["Red", "Blaue Kategorie", "100%"]})
    assert answer.status == 200 and answer.json["isRead"] and answer.json["flag"] == {"flagStatus": "flagged"}
    assert answer.json["categories"] == ["Red", "Blaue Kategorie", "100%"]
    assert stored(exosim, "INBOX")[0][0] == {"\\Seen", "\\Flagged", "Red", "Blaue=20Kategorie", "100=25"}
    assert graph.ask("PATCH", f"/messages/{item}", {"categories": ["Ö" * 80]}).json["categories"] == ["Ö" * 80]
    answer = graph.ask("PATCH", f"/messages/{item}", {"isRead": False, "categories": [], "flag": {"flagStatus": "notFlagged"}})
    assert (answer.json["isRead"], answer.json["categories"], answer.json["flag"]["flagStatus"]) == (False, [], "notFlagged")
    assert stored(exosim, "INBOX")[0][0] == set()
    exosim.switch(graph_categories_shown=0)
    for categories in (["One"], ["One", "Zwei drei"], []):
        assert graph.ask("PATCH", f"/messages/{item}", {"categories": categories, "isRead": True}).json["categories"] == categories
        assert stored(exosim, "INBOX")[0][0] == {"\\Seen"}
    assert b"=_" not in b"".join(line for line, _ in imap(exosim).command("SELECT INBOX"))


def test_what_imap_stores_graph_shows(exosim, graph):
    c = imap(exosim)
    c.command('CREATE "A/B"')
    c.append(b"A/B", mime(7), flags="\\Flagged Gelb", date="01-Feb-2003 04:05:06 +0100")
    a = graph.ask("GET", "/mailFolders", query={"$filter": "displayName eq 'a'"}).json["value"][0]
    assert a["childFolderCount"] == 1
    b = graph.ask("GET", f"/mailFolders/{a['id']}/childFolders").json["value"][0]
    assert (b["displayName"], b["totalItemCount"], b["unreadItemCount"]) == ("B", 1, 1)
    message = graph.list(b["id"]).json["value"][0]
    assert (message["receivedDateTime"], message["isDraft"], message["categories"]) == ("2003-02-01T03:05:06Z", False, ["Gelb"])
    assert message["body"] == {"contentType": "text", "content": "hello\r\n"} and message["bodyPreview"].strip() == "hello"


def test_folders(exosim, graph):
    listed, pages = graph.pages(graph.ask("GET", "/mailFolders", query={"$top": 3}))
    shown = {f["displayName"]: f for f in listed}
    assert pages == 3 and set(shown) == {"Inbox", "Drafts", "Sent Items", "Deleted Items", "Junk Email", "Archive", "Outbox", "Conversation History"}
    for well_known, name in (("inbox", "Inbox"), ("SentItems", "Sent Items"), ("junkemail", "Junk Email"), ("outbox", "Outbox")):
        assert graph.ask("GET", f"/mailFolders/{well_known}").json["id"] == shown[name]["id"]
    root = graph.ask("GET", "/mailFolders/msgfolderroot").json
    assert root["id"] == shown["Inbox"]["parentFolderId"] and root["childFolderCount"] == 8
    assert graph.ask("GET", f"/mailFolders/{root['id']}/childFolders", query={"$top": 100, "$count": "true"}).json["@odata.count"] == 8
    # without case, blanks trimmed, "/" within a name
    made = graph.ask("POST", "/mailFolders", {"displayName": " Projekt 1/2 "})
    assert made.status == 201 and made.json["displayName"] == "Projekt 1/2"
    again = graph.ask("POST", "/mailFolders", {"displayName": "PROJEKT 1/2"})
    assert (again.status, again.code) == (409, "ErrorFolderExists")
    child = graph.folder("ärger", made.json["id"])
    assert graph.ask("POST", f"/mailFolders/{made.json['id']}/childFolders", {"displayName": "ÄRGER"}).status == 409
    assert graph.ask("GET", f"/mailFolders/{child}", query={"$select": "displayName"}).json["displayName"] == "ärger"
    assert graph.ask("GET", f"/mailFolders/{child}/childFolders").json["value"] == []
    # hidden ones are shown when asked for
    hidden = graph.ask("POST", "/mailFolders", {"displayName": "Versteckt", "isHidden": True})
    assert hidden.json["isHidden"] is True
    assert "Versteckt" not in {f["displayName"] for f in graph.ask("GET", "/mailFolders", query={"$top": 100}).json["value"]}
    assert "Versteckt" in {f["displayName"] for f in
                           graph.ask("GET", "/mailFolders", query={"includeHiddenFolders": "true", "$top": 100}).json["value"]}
    assert graph.ask("GET", "/mailFolders/clutter").code == "ErrorItemNotFound"


def test_german_folders_on_both_routes(exosim_for, dovecot_target):
    exosim = exosim_for(dovecot_target, config={"language": "de"})
    g = Graph(exosim, ALICE)
    shown = {f["displayName"] for f in g.ask("GET", "/mailFolders", query={"$top": 100}).json["value"]}
    assert {"Posteingang", "Entwürfe", "Gesendete Elemente", "Gelöschte Elemente", "Junk-E-Mail", "Archiv"} <= shown
    assert shown - {"Posteingang"} <= names(imap(exosim))
    assert g.put("sentitems", mime()).status == 201
    assert len(stored(exosim, "Gesendete Elemente")) == 1
    assert g.ask("POST", "/mailFolders", {"displayName": "entwürfe"}).code == "ErrorFolderExists"


def test_ids_are_opaque_and_outlive_the_process(exosim, graph):
    folder = graph.folder("Post")
    ids = [graph.put(folder, mime(n)).json["id"] for n in range(8)]
    assert len(set(ids)) == 8 and ids not in (sorted(ids), sorted(ids, reverse=True))
    assert len({i[20:40] for i in ids}) == 8 and all(100 <= len(i) <= 160 for i in ids)
    plain = Graph(exosim, ALICE, immutable=False).ask("GET", f"/messages/{ids[0]}")
    assert plain.json["id"] != ids[0] and "Preference-Applied" not in plain.headers
    assert graph.ask("GET", f"/messages/{ids[0]}").headers["Preference-Applied"] == 'IdType="ImmutableId"'
    exosim.kill()
    exosim.start()
    g = Graph(exosim, ALICE)
    assert [g.ask("GET", f"/messages/{i}").json["internetMessageId"] for i in ids] == [f"<{n}@example.org>" for n in range(8)]
    assert g.ask("GET", f"/mailFolders/{folder}").json["totalItemCount"] == 8
    assert Graph(exosim, BOB).ask("GET", f"/messages/{ids[0]}").code == "ErrorInvalidIdMalformed"
    # a folder made anew under its name is another one
    imap(exosim).command('DELETE "Post"')
    imap(exosim).command('CREATE "Post"')
    assert g.put(folder, mime()).code == "ErrorItemNotFound"
    assert g.ask("GET", f"/messages/{ids[0]}").code == "ErrorItemNotFound"


def test_lists(exosim, graph):
    folder = graph.folder("Post")
    for n in range(25):
        assert graph.put(folder, mime(n, date=f"Mon, 02 Jan {2000 + n} 15:04:05 +0000")).status == 201
    assert len(graph.list(folder).json["value"]) == 10
    newest, pages = graph.pages(graph.list(folder, top=7, select="internetMessageId"))
    assert pages == 4 and [m["internetMessageId"] for m in newest] == [f"<{n}@example.org>" for n in range(24, -1, -1)]
    assert set(newest[0]) == {"@odata.etag", "id", "internetMessageId"}
    oldest = graph.list(folder, top=1000, orderby="receivedDateTime asc", select="receivedDateTime", count="true").json
    assert oldest["@odata.count"] == 25 and [m["receivedDateTime"][:4] for m in oldest["value"]] == [str(2000 + n) for n in range(25)]

    def years(expression, **more):
        return sorted(m["receivedDateTime"][:4] for m in graph.pages(graph.list(folder, filter=expression, top=100, **more))[0])
    assert years("receivedDateTime ge 2020-01-01T00:00:00Z and receivedDateTime lt 2022-06-01T00:00:00+02:00") == ["2020", "2021", "2022"]
    assert years("not (receivedDateTime gt 2001-01-02T15:04:05Z)") == ["2000", "2001"]
    assert years("internetMessageId eq '<3@example.org>' or subject eq 'no 5'") == ["2003", "2005"]
    assert years("internetMessageId eq '<3@example.org>' and isRead eq true") == []
    today = datetime.datetime.now(datetime.timezone.utc)
    before, after = ((today + datetime.timedelta(days=d)).strftime("%Y-%m-%dT%H:%M:%S.000Z") for d in (-1, 1))
    assert len(years(f"createdDateTime ge {before}")) == 25 and years(f"createdDateTime ge {after}") == []
    assert len(years("receivedDateTime ge 2010-01-01T00:00:00Z", orderby="receivedDateTime")) == 15
    assert graph.list(folder, filter="isRead eq false", orderby="receivedDateTime").code == "InefficientFilter"
    assert graph.find(folder, "<7@EXAMPLE.org>") == []
    exosim.switch(graph_filter_nocase=1)
    assert len(graph.find(folder, "<7@EXAMPLE.org>")) == 1
    exosim.switch(graph_pages_short=1)
    short, pages = graph.pages(graph.list(folder, top=10, select="id"))
    assert graph.list(folder, top=10).json["value"] == [] and len({m["id"] for m in short}) == 25 and pages == 4
    folders, _ = graph.pages(graph.ask("GET", "/mailFolders", query={"$top": 4}))
    assert len({f["id"] for f in folders}) == 9


def test_lists_of_a_folder_that_changes(exosim, graph):
    """Between two lists over one connection messages come, go and are older than what is there; a folder is made anew under its name."""
    def listed(folder, **query):
        first = graph.list(folder, top=2, select="subject", count="true", **query)
        found, pages = graph.pages(first)
        assert (first.json["@odata.count"], pages) == (len(found), max(1, (len(found) + 1) // 2))
        return [m["subject"] for m in found]

    def put(n, year):
        imap.append(b"Post", f"Message-ID: <{n}@example.org>\r\nSubject: {n}\r\n\r\nx\r\n".encode(), date=f"02-Jan-{year} 15:04:05 +0000")
    folder, imap = graph.folder("Post"), RawImap(exosim.imaps, tls=True, ca=exosim.ca)
    imap.xoauth2("alice@contoso.example", exosim.token())
    assert listed(folder) == []
    for n, year in ((1, 2005), (2, 2001), (3, 2003), (4, 2003)):
        put(n, year)
    assert listed(folder) == ["1", "4", "3", "2"] and listed(folder, orderby="receivedDateTime asc") == ["2", "3", "4", "1"]
    put(5, 2002)
    assert listed(folder) == ["1", "4", "3", "5", "2"]
    imap.command('SELECT "Post"')
    imap.command("UID STORE 3 +FLAGS (\\Deleted)")
    imap.command("EXPUNGE")
    put(6, 2004)  # one goes and one comes: their number is the same
    assert listed(folder) == ["1", "6", "4", "5", "2"]
    imap.command("UID STORE 1:* +FLAGS (\\Deleted)")
    imap.command("EXPUNGE")
    assert listed(folder) == [] and listed("inbox") == []
    imap.command("UNSELECT")
    imap.command('DELETE "Post"')
    folder = graph.folder("Post")
    put(7, 2006)
    put(8, 2007)
    assert listed(folder) == ["8", "7"]
    imap.close()


@pytest.mark.parametrize("message_id,wanted", [
    ("<o'brien@example.org>", "<o'brien@example.org>"), ("no brackets", "no brackets"), ("  <folded\r\n @example.org>", "<folded @example.org>")])
def test_odd_message_ids_are_found(exosim, graph, message_id, wanted):
    data = b"Message-ID: " + message_id.encode() + b"\r\n" + mime(message_id=False)
    assert graph.put("inbox", data).json["internetMessageId"] == wanted
    assert graph.put("inbox", mime(message_id=False)).json["internetMessageId"] is None
    assert [m["internetMessageId"] for m in graph.find("inbox", wanted)] == [wanted]


def test_deletes(exosim, graph):
    a = graph.folder("A")
    b = graph.folder("B", a)
    item = graph.put(b, mime()).json["id"]
    assert graph.ask("DELETE", f"/messages/{item}").status == 204
    assert graph.ask("DELETE", f"/messages/{item}").code == "ErrorItemNotFound"
    item = graph.put(b, mime()).json["id"]
    assert graph.ask("DELETE", f"/mailFolders/{a}").status == 204
    assert graph.ask("GET", f"/mailFolders/{b}").status == 404 and graph.ask("GET", f"/messages/{item}").status == 404
    assert not {"A", "A/B"} & names(imap(exosim))
    assert graph.ask("DELETE", "/mailFolders/inbox").code == "ErrorDeleteDistinguishedFolder"
    exosim.switch(graph_delete_moves=1)
    for _ in range(2):
        a = graph.folder("A")
        item = graph.put(a, mime()).json["id"]
        assert graph.ask("DELETE", f"/messages/{item}").status == 204
        assert graph.ask("DELETE", f"/mailFolders/{a}").status == 204
    assert {"Deleted Items/A", "Deleted Items/A1"} <= names(imap(exosim)) and len(stored(exosim, "Deleted Items")) == 2


def test_users(exosim_for, dovecot_target):
    exosim = exosim_for(dovecot_target, config={"mailboxes": [
        {"address": ALICE, "id": "aaaaaaaa-0000-4000-8000-000000000001", "upn": "alice@contoso.onmicrosoft.example", "aliases": ["a@contoso.example"]}]})
    want = {"id": "aaaaaaaa-0000-4000-8000-000000000001", "userPrincipalName": "alice@contoso.onmicrosoft.example", "mail": ALICE}
    g = Graph(exosim, ALICE)

    def who(name):
        g.user = name
        answer = g.ask("GET", "", query={"$select": "id,userPrincipalName,mail"})
        return {k: v for k, v in answer.json.items() if k != "@odata.context"} if answer.status == 200 else (answer.status, answer.code)
    for name in (want["id"], want["userPrincipalName"], "A@contoso.example", ALICE):
        assert who(name) == want, name
        assert g.ask("GET", "/mailFolders/inbox").status == 200
    assert g.ask("GET", "/settings/exchange").json["primaryMailboxId"].startswith("MBX:aaaaaaaa-0000-4000-8000-000000000001@")
    exosim.switch(graph_alias=0)
    assert who("a@contoso.example") == (404, "Request_ResourceNotFound") and who(want["id"]) == want
    assert g.ask("GET", "").status == 200
    g.user = "a@contoso.example"
    assert g.ask("GET", "/mailFolders").code == "ErrorInvalidUser"


def test_tokens_and_roles(exosim, graph):
    assert (lambda a: (a.status, a.code, a.message))(Graph(exosim, ALICE, token=exosim.token()).ask("GET", "/mailFolders")) == (
        401, "InvalidAuthenticationToken", "Access token validation failure. Invalid audience.")
    with pytest.raises(Exception, match="AUTHENTICATE"):
        RawImap(exosim.imaps, tls=True, ca=exosim.ca).xoauth2(ALICE, graph.token)
    assert Graph(exosim, ALICE, token="x.y.z").ask("GET", "/mailFolders").code == "InvalidAuthenticationToken"
    item = graph.put("inbox", mime()).json["id"]
    exosim.roles("Mail.ReadWrite")
    assert graph.put("inbox", mime()).status == 201, "a token keeps what it was issued with"
    g = Graph(exosim, ALICE)
    assert g.ask("GET", "/mailFolders").status == 200 and g.ask("PATCH", f"/messages/{item}", {"isRead": True}).status == 200
    assert (lambda a: (a.status, a.code))(g.put("inbox", mime())) == (403, "ErrorAccessDenied")
    assert (lambda a: (a.status, a.code))(g.ask("GET", "")) == (403, "Authorization_RequestDenied")
    # D: sensitive properties of what is no draft (here: at once, not only from 31 Dec 2026 on)
    exosim.switch(graph_sensitive=1)
    assert g.ask("PATCH", f"/messages/{item}", {"subject": "other"}).code == "ErrorAccessDenied"
    exosim.roles("User.Read.All", "Mail-Advanced.ReadWrite.All")
    g = Graph(exosim, ALICE)
    assert g.put("inbox", mime()).status == 201 and g.ask("GET", "").status == 200
    assert g.ask("POST", "/mailFolders", {"displayName": "X"}).code == "ErrorAccessDenied"
    exosim.ask("/revoke", {})
    answer = g.ask("GET", "/mailFolders")
    assert answer.code == "InvalidAuthenticationToken" and answer.headers["WWW-Authenticate"].startswith("Bearer ")
    exosim.switch(token_life=0)
    g.token = exosim.token("https://graph.microsoft.com")
    assert g.ask("GET", "/mailFolders").message == "Lifetime validation failed, the token is expired."


def test_mailboxes_that_are_none(exosim, graph):
    exosim.mailbox(ALICE, graph_permission=False)
    assert graph.ask("GET", "/mailFolders").code == "ErrorAccessDenied"
    exosim.mailbox(ALICE, graph_permission=True, rest=False)
    assert (lambda a: (a.status, a.code))(graph.put("inbox", mime())) == (404, "MailboxNotEnabledForRESTAPI")
    assert graph.ask("GET", "").status == 200, "the directory knows the user all the same"
    exosim.mailbox(ALICE, rest=True, quota=100)
    assert (lambda a: (a.status, a.code))(graph.put("inbox", mime())) == (507, "ErrorQuotaExceeded")


@pytest.mark.parametrize("how,received", [(1, "1999-12-31T23:59:58Z"), (2, "2006-01-02T15:04:05Z"), (0, None)])
def test_the_received_date_is_a_switch(exosim, graph, how, received):
    exosim.switch(graph_received=how, graph_created=how % 2)
    now = time.strftime("%Y-%m-%d", time.gmtime())
    answer = graph.put("inbox", mime(received="Sat, 01 Jan 2000 00:59:58 +0100"))
    assert answer.json["receivedDateTime"] == received if received else answer.json["receivedDateTime"][:10] >= now
    again = graph.ask("GET", f"/messages/{answer.json['id']}").json
    assert again["receivedDateTime"] == answer.json["receivedDateTime"]
    assert (again["createdDateTime"] == again["receivedDateTime"]) == (how == 1) or how == 0


def test_unkind_profile(exosim_for, dovecot_target):
    exosim = exosim_for(dovecot_target, config={"profile": "unkind"})
    g = Graph(exosim, ALICE)
    answer = g.put("inbox", mime(message_id=False, extra="Content-Type: text/plain\r\n"))
    assert answer.status == 201 and answer.json["isRead"] and answer.json["body"]["content"].strip() == "hello"
    flags, received, octets = stored(exosim, "INBOX")[0]
    assert flags == {"\\Seen"} and not received.endswith("2006 15:04:05 +0000")
    assert b"exosim.invalid>" in octets and octets != mime(message_id=False)
    folded = base64.encodebytes(mime())
    assert g.put("inbox", b"", encoded=folded).code == "ErrorMimeContentInvalidBase64String"
    big = base64.b64encode(mime(body=b"x" * 70 + b"\r\n") * 25000)
    answer = g.put("inbox", b"", encoded=big)
    assert (answer.status, answer.body) == (200, b"") and len(stored(exosim, "INBOX")) == 1


def test_sizes(exosim, graph):
    line = b"x" * 998 + b"\r\n"
    fits = mime(body=line * 3100)
    assert len(base64.b64encode(fits)) < 4 << 20
    answer = graph.put("inbox", fits)
    assert answer.status == 201 and graph.ask("GET", f"/messages/{answer.json['id']}/$value").body == fits
    for how, status, code in ((0, 413, "RequestEntityTooLarge"), (1, 400, "BadRequest")):
        exosim.switch(graph_too_big=how)
        answer = graph.put("inbox", mime(body=line * 3200))
        assert (answer.status, answer.code, answer.message) == (status, code, "The maximum request length supported is 4MB.")
    exosim.switch(graph_size_cap=1000)
    assert (lambda a: (a.status, a.code))(graph.put("inbox", mime(body=line))) == (413, "ErrorMessageSizeExceeded")
    assert len(stored(exosim, "INBOX")) == 1


def test_content_that_is_refused(exosim, graph):
    exosim.checks_requests = False
    good = base64.b64encode(mime())

    def code(answer):
        return answer.status, answer.code
    for bad in (good[:-1], good + b"=", b"!" + good, good + b"\0", b"aGk==", b"a"):
        assert code(graph.put("inbox", b"", encoded=bad)) == (400, "ErrorMimeContentInvalidBase64String"), bad
    assert graph.put("inbox", b"", encoded=base64.encodebytes(mime())).status == 201
    assert graph.put("inbox", b"", encoded=b"").status == 400
    assert code(graph.put("inbox", mime(), **{"Content-Type": "application/json"})) == (415, "UnsupportedMediaType")
    assert code(graph.put("inbox", mime(), **{"Content-Type": "message/rfc822"})) == (415, "UnsupportedMediaType")
    item = graph.list("inbox").json["value"][0]["id"]
    for body, want in (({"unread": True}, "RequestBodyRead"), ({"isRead": "yes"}, "RequestBodyRead"), ({"flag": {"status": 1}}, "RequestBodyRead"),
                       ({"flag": {"flagStatus": "red"}}, "RequestBodyRead"), ({"categories": [""]}, "RequestBodyRead"),
                       ({"receivedDateTime": "2020-01-01T00:00:00Z"}, "ErrorInvalidPropertySet"), ([], "BadRequest")):
        assert code(graph.ask("PATCH", f"/messages/{item}", body)) == (400, want), body
    for body in (b"{", b"", b'{"isRead":true,"isRead":false}', b"\xff"):
        answer = graph.send("PATCH", f"/v1.0/users/{ALICE}/messages/{item}", body, graph.headers(**{"Content-Type": "application/json"}))
        assert code(answer) == (400, "BadRequest"), body
    assert code(graph.send("PATCH", f"/v1.0/users/{ALICE}/messages/{item}", b"{}", graph.headers(**{"Content-Type": "text/plain"}))) == (
        415, "UnsupportedMediaType")
    for body in ({"displayName": ""}, {"displayName": "  "}, {}, {"displayName": "x" * 300}, {"displayName": "a\nb"}):
        assert code(graph.ask("POST", "/mailFolders", body)) == (400, "ErrorInvalidArgument"), body
    assert code(graph.ask("POST", "/mailFolders", {"displayName": "x", "name": "y"})) == (400, "RequestBodyRead")


def test_requests_that_are_refused(exosim, graph):
    exosim.checks_requests = False
    u = f"/v1.0/users/{ALICE}"

    def code(method, path, **headers):
        answer = graph.send(method, path, None, {**graph.headers(), **headers})
        return answer.status, answer.code
    answer = graph.send("GET", u + "/mailFolders", None, {"client-request-id": "12345678-1234-4234-8234-123456789012"})
    assert (answer.status, answer.code, answer.message) == (401, "InvalidAuthenticationToken", "Access token is empty.")
    assert answer.headers["client-request-id"] == "12345678-1234-4234-8234-123456789012" and schema.GUID.fullmatch(answer.headers["request-id"])
    for path in ("/mailfolder", "/mailFolders/inbox/importMime", "/mailFolders/inbox/messages/x", "/messages/x/y", "/mailFolders/inbox/childFolders/x/y"):
        assert code("POST", u + path) == (400, "BadRequest"), path
    assert code("GET", "/beta/me/mailFolders") == (400, "BadRequest")
    for path in ("/mailFolders/xyz", "/messages/xyz", "/mailFolders/" + "A" * 3000, "/messages/" + graph.ask("GET", "/mailFolders/inbox").json["id"]):
        assert code("GET", u + path) == (400, "ErrorInvalidIdMalformed"), path
    assert code("PUT", u + "/mailFolders") == (405, "UnknownError") and code("DELETE", u)[0] == 405
    messages = u + "/mailFolders/inbox/messages?"
    for query, want in (("$selct=id", "RequestBroker--ParseUri"), ("$select=Id", "RequestBroker--ParseUri"), ("$top=0", "ErrorInvalidUrlQuery"),
                        ("$top=1001", "ErrorInvalidUrlQuery"), ("$top=x", "ErrorInvalidUrlQuery"), ("$skiptoken=abc", "ErrorInvalidUrlQuery"),
                        ("$orderby=subject", "ErrorInvalidUrlQuery"), ("$count=1", "ErrorInvalidUrlQuery"),
                        ("$filter=internetMessageID%20eq%20'x'", "RequestBroker--ParseUri"),
                        *((f"$filter={f}", "ErrorInvalidUrlQueryFilter") for f in (
                            "internetMessageId%20eq%20x", "internetMessageId%20eq%20'x", "receivedDateTime%20ge%20'2020-01-01'", "isRead%20eq%201",
                            "receivedDateTime%20ge%202020-02-30T00:00:00Z", "isRead%20eq%20true%20and", "(isRead%20eq%20true", "", "(" * 500))):
        assert code("GET", messages + query) == (400, want), query
    assert code("GET", u + "/mailFolders/inbox?$top=1") == (400, "RequestBroker--ParseUri")
    assert graph.send("GET", "/" + "x" * 100).status == 404


def test_the_validator_complains(exosim, graph):
    """A checker that was never seen to fail does not count."""
    item = graph.put("inbox", mime()).json["id"]
    graph.ask("PATCH", f"/messages/{item}", {"isRead": True}, **{"client-request-id": "12345678-1234-4234-8234-123456789012"})
    graph.list("inbox", top=5, select="id,receivedDateTime")
    assert graph.ask("POST", "/mailFolders", {"displayName": "X"}).status == 201
    good, check = exosim.traced(), schema.Validator()
    assert [list(check.complaints(line)) for line in good] == [[]] * 4
    assert item not in json.dumps([line["request"] for line in good]) and graph.token not in json.dumps(good) and "hello" not in json.dumps(good)
    broken = 0
    for line, change in ((good[0], lambda v: v["answer"].update(isDraft=True)), (good[0], lambda v: v["answer"].pop("id")),
                         (good[0], lambda v: v["headers"].update({"Content-Type": "application/json"})),
                         (good[0], lambda v: v.update(path=v["path"].replace("beta", "v1.0"))), (good[0], lambda v: v.update(status=200)),
                         (good[1], lambda v: v["request"].update(isread=True)), (good[1], lambda v: v["request"].update(isRead="x")),
                         (good[1], lambda v: v["request"].update(flag={"flagStatus": "red"})),
                         (good[1], lambda v: v["headers"].update({"client-request-id": "1"})),
                         (good[1], lambda v: v["headers"].pop("Authorization")), (good[1], lambda v: v["answer"].update(receivedDateTime="today")),
                         (good[2], lambda v: v["query"].append(["$tpo", "1"])), (good[2], lambda v: v["answer"]["value"][0].update(idd="x")),
                         (good[2], lambda v: v.update(request_octets=5)), (good[2], lambda v: v.update(method="PUT")),
                         (good[3], lambda v: v["request"].update(displayName=1)), (good[3], lambda v: v.update(status=404, answer={"error": {}}))):
        line = json.loads(json.dumps(line))
        change(line)
        assert list(check.complaints(line)), line
        broken += 1
    assert broken == 17 and os.path.getsize(exosim.trace)


def test_nested_without_end(exosim, graph):
    """A hostile message does not take exosim down, whatever is asked of it."""
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(5000))
    data = b"Message-ID: <deep@example.org>\r\n" + nested + b"\r\nend\r\n"
    exosim.switch(graph_answer_body=1)
    item = graph.put("inbox", data).json["id"]
    assert graph.ask("GET", f"/messages/{item}").status == 200 and graph.ask("GET", f"/messages/{item}/$value").body == data
    exosim.switch(mime_recoded=1)
    assert graph.put("inbox", data).status == 201 and graph.put("inbox", b"\0\xff" * 50).status in (201, 400)
    assert graph.list("inbox", top=10).status == 200
