"""A small Graph client for tests: http.client over verified TLS, one connection, nothing retried, nothing hidden."""
import base64
import http.client
import json
import ssl
import urllib.parse

from .exosim import CLIENT, SECRET, TENANT  # noqa: F401 (for tests)

GRAPH = "https://graph.microsoft.com"


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["error"]["code"]

    @property
    def message(self):
        return self.json["error"]["message"]

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Graph:
    def __init__(self, exosim, user, *, token=None, immutable=True):
        self.exosim, self.user, self.immutable = exosim, user, immutable
        self.token = token or exosim.token(GRAPH)
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def send(self, method, path, body=None, headers=None, query=None):
        """The request as it is given; query: {name: value}, encoded here. Returns an Answer; http.client's exceptions pass."""
        if query:
            path += "?" + "&".join(f"{urllib.parse.quote(k, safe='$')}={urllib.parse.quote(str(v))}" for k, v in query.items())
        if self.connection is None:
            context = ssl.create_default_context(cafile=self.exosim.ca)
            self.connection = http.client.HTTPSConnection("localhost", self.exosim.https, context=context, timeout=120)
        try:
            self.connection.request(method, path, body, headers or {})
            answer = self.connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        except BaseException:
            self.close()
            raise

    def headers(self, **more):
        return {"Authorization": "Bearer " + self.token, **({"Prefer": 'IdType="ImmutableId"'} if self.immutable else {}), **more}

    def ask(self, method, rest, value=None, *, version="v1.0", query=None, **headers):
        """rest: behind /users/{u}. value: JSON."""
        body = None if value is None else json.dumps(value).encode()
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self.send(method, f"/{version}/users/{urllib.parse.quote(self.user)}{rest}", body, self.headers(**headers), query)

    def follow(self, link):
        """A nextLink, verbatim."""
        parts = urllib.parse.urlsplit(link)
        assert (parts.scheme, parts.port) == ("https", self.exosim.https), link
        return self.send("GET", parts.path + "?" + parts.query, None, self.headers())

    def pages(self, answer):
        """All values of a list and the number of its pages."""
        values, n = list(answer.json["value"]), 1
        while "@odata.nextLink" in answer.json:
            answer = self.follow(answer.json["@odata.nextLink"])
            assert answer.status == 200, answer
            values, n = values + answer.json["value"], n + 1
        return values, n

    def put(self, folder, mime, how="importMime", encoded=None, **headers):
        """how: importMime, or messages (a draft)."""
        version = "beta" if how == "importMime" else "v1.0"
        body = base64.b64encode(mime) if encoded is None else encoded
        return self.send("POST", f"/{version}/users/{self.user}/mailFolders/{folder}/{how}", body,
                         self.headers(**{"Content-Type": "text/plain", **headers}))

    def list(self, folder, **query):
        return self.ask("GET", f"/mailFolders/{folder}/messages", query={"$" + k: v for k, v in query.items()})

    def find(self, folder, message_id):
        quoted = message_id.replace("'", "''")
        return self.list(folder, filter=f"internetMessageId eq '{quoted}'", select="id,internetMessageId,receivedDateTime,isDraft").json["value"]

    def folder(self, name, parent=None):
        """Makes one; its id."""
        answer = self.ask("POST", f"/mailFolders/{parent}/childFolders" if parent else "/mailFolders", {"displayName": name})
        assert answer.status == 201, answer
        return answer.json["id"]
