"""Graph traffic checked against Microsoft's metadata by a validator that shares nothing with exosim or nightferry: exosim's trace
(--trace-graph) is read, every request and answer is looked up in tests/schema/graph-mail.json and validated by python3-jsonschema. What
the document does not have (importMime, settings/exchange) is written by hand below, from spec/exchange-online.md section 3."""
import copy
import functools
import json
import os
import re

import jsonschema

from . import local

DOCUMENT = os.path.join(local.ROOT, "tests", "schema", "graph-mail.json")
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
# Faults that break the answer on purpose.
BROKEN = {"graph_drop", "graph_drop_after", "graph_late", "graph_hang", "graph_cut", "graph_garbage", "graph_huge", "graph_nothing", "graph_error"}
MESSAGE = {"$ref": "#/components/schemas/microsoft.graph.message"}
ERROR = {"$ref": "#/components/schemas/odataerror"}

CHECKER = jsonschema.FormatChecker(formats=())
CHECKER.checkers = {"date-time": (lambda v: not isinstance(v, str) or bool(TIME.fullmatch(v)), ()),
                    "byte": (lambda v: not isinstance(v, str) or bool(BASE64.fullmatch(v)), ())}


def as_json_schema(node):
    """OpenAPI 3.0 to JSON Schema: nullable, and objects that have properties have no others (annotations excepted)."""
    if isinstance(node, list):
        return [as_json_schema(v) for v in node]
    if not isinstance(node, dict):
        return node
    out = {k: as_json_schema(v) for k, v in node.items()}
    if out.get("type") == "object" and isinstance(out.get("properties"), dict) and "allOf" not in out:
        out.setdefault("additionalProperties", False)
        out["patternProperties"] = {r"^([A-Za-z]+)?@odata\.[A-Za-z]+$": {}, **out.get("patternProperties", {})}
    if out.pop("nullable", False) is True:
        return {"anyOf": [{"type": "null"}, out]}
    return out


class Document:
    def __init__(self, path=DOCUMENT):
        with open(path, encoding="utf-8") as f:
            raw = json.load(f)
        self.components = {"components": {"schemas": {k: as_json_schema(v) for k, v in raw["components"]["schemas"].items()}}}
        self.paths, self.validators = [], {}
        for path, operations in raw["paths"].items():
            pattern = re.compile("/".join("[^/]+" if part.startswith("{") else re.escape(part) for part in path.split("/")))
            self.paths.append((pattern, path, operations))

    def find(self, path):
        """The operations of a path without its version; a literal segment goes before a variable one."""
        found = [(path_text.count("{"), path_text, operations) for pattern, path_text, operations in self.paths if pattern.fullmatch(path)]
        return min(found)[1:] if found else (None, None)

    def errors(self, schema, value):
        key = json.dumps(schema, sort_keys=True)
        if key not in self.validators:
            self.validators[key] = jsonschema.Draft7Validator({**as_json_schema(schema), **self.components}, format_checker=CHECKER)
        for e in self.validators[key].iter_errors(value):
            yield f"at {'/'.join(map(str, e.absolute_path)) or '(top)'}: {e.message[:300]}"


@functools.lru_cache(maxsize=1)
def the_document():
    return Document()


def media(headers):
    return headers.get("Content-Type", "").split(";")[0].strip().lower()


class Validator:
    """checks_requests=False: only the answers (for tests that send what is wrong on purpose)."""

    def __init__(self, document=None, checks_requests=True):
        self.document, self.checks_requests = document or the_document(), checks_requests

    def request(self, line, path, operation, by_hand):
        headers, options = line["headers"], [name for name, _ in line["query"]]
        if headers.get("Authorization") != "Bearer":
            yield "no bearer token"
        given = headers.get("client-request-id")
        if given is not None and not GUID.fullmatch(given):
            yield f"client-request-id {given!r} is no GUID"
        known = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"} | {"$skiptoken"}
        for name in options:
            if name not in known:
                yield f"the query option {name} does not exist"
        if len(options) != len(set(options)):
            yield "a query option is given twice"
        body = operation.get("requestBody")
        if not body:
            if line["request_octets"]:
                yield f"{line['request_octets']} octets of body where there is none"
            return
        if media(headers) not in body["content"]:
            yield f"the Content-Type {media(headers)!r} is not one of {sorted(body['content'])}"
        elif media(headers) == "application/json":
            if line["request"] is None:
                yield "the body is no JSON"
            else:
                yield from self.document.errors(body["content"]["application/json"]["schema"], line["request"])
        elif by_hand and not line["request_octets"]:
            yield "the MIME is empty"

    def answer(self, line, operation, is_beta):
        status = str(line["status"])
        if line["dropped"] or line["fault"] in BROKEN:
            return
        if status[0] in "45":
            if line["status"] in (405, 415, 501, 507):  # not in the document; their shape is
                yield from self.document.errors(ERROR, line["answer"])
                return
            if status not in operation["responses"]:
                yield f"the status {status} is not in the document"
            yield from self.document.errors(ERROR, line["answer"])
            return
        response = operation["responses"].get(status)
        if response is None:
            if not (line["status"] == 200 and line["answer_octets"] == 0):  # an oversized MIME create (spec section 3)
                yield f"the status {status} is not in the document"
            return
        content = response.get("content")
        if not content:
            if line["answer_octets"]:
                yield "a body where there is none"
        elif media(line["answer_headers"]) not in content:
            yield f"the Content-Type {media(line['answer_headers'])!r} is not one of {sorted(content)}"
        elif "application/json" in content:
            value = copy.deepcopy(line["answer"])
            if is_beta and isinstance(value, dict):  # the document is v1.0's
                for item in [value, *(v for v in value.get("value") or [] if isinstance(v, dict))]:
                    item.pop("wellKnownName", None)
            yield from self.document.errors(content["application/json"]["schema"], value)

    def operation(self, method, version, path):
        """(operation or None, is it by hand)"""
        if re.fullmatch("/users/[^/]+/mailFolders/[^/]+/importMime", path):
            errors = {s: {} for s in ("400", "401", "403", "404", "409", "413", "429", "500", "503", "504")}
            created = {"allOf": [MESSAGE, {"required": ["id", "isDraft"], "properties": {"isDraft": {"const": False}}}]}
            return ({"requestBody": {"content": {"text/plain": {}}},
                     "responses": {"201": {"content": {"application/json": {"schema": created}}}, **errors}}
                    if (method, version) == ("POST", "beta") else None), True
        if re.fullmatch("/users/[^/]+/settings/exchange", path):
            shape = {"type": "object", "required": ["primaryMailboxId"], "properties": {
                "@odata.context": {"type": "string"}, "primaryMailboxId": {"type": "string", "pattern": "^MBX:[^@]+@[^@]+$"}}}
            return ({"responses": {"200": {"content": {"application/json": {"schema": shape}}},
                                   **{s: {} for s in ("400", "401", "403", "404", "429", "500", "503", "504")}}}
                    if method == "GET" else None), True
        if re.fullmatch("/users/[^/]+/messages", path):  # as that of a folder
            path = path.replace("/messages", "/mailFolders/x/messages")
        return (self.document.find(path)[1] or {}).get(method.lower()), False

    def complaints(self, line):
        version, _, path = line["path"].lstrip("/").partition("/")
        operation, by_hand = self.operation(line["method"], version, "/" + path)
        if operation is None:
            if self.checks_requests:
                yield "there is no such request"
            if line["status"] >= 400 and not line["dropped"] and line["fault"] not in BROKEN:
                yield from self.document.errors(ERROR, line["answer"])
            return
        if self.checks_requests:
            yield from self.request(line, path, operation, by_hand)
        yield from self.answer(line, operation, version == "beta")

    def check(self, file):
        """[text] for every line of a trace that is not as the document has it."""
        bad = []
        if not os.path.exists(file):
            return bad
        with open(file, encoding="utf-8") as f:
            for number, text in enumerate(f, 1):
                line = json.loads(text)
                bad += [f"line {number}: {line['method']} {line['path'][:120]} -> {line['status']}: {c}" for c in self.complaints(line)]
        return bad
