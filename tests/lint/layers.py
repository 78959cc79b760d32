"""Rules of the tree that a compiler does not check: who may include whom, where a library lives, how a file begins. Each rule is a
function of (root, files) that returns complaints as "file:line: text"; tests/lint/samples has one tree per rule that must be complained of."""
import os
import re

# Lowest first. A file includes only from its own layer or from one before it; exosim is a program on top of upload.
LAYERS = ["engine/base", "throttle", "imap", "upload", "engine/store", "engine", "engine/command"]
FOLDERS = {"engine/base": "engine/base", "throttle": "throttle", "imap": "imap", "upload": "upload", "upload/exosim": "exosim",
           "engine/store": "engine/store", "engine": "engine", "engine/command": "engine/command"}
MAY = {layer: set(LAYERS[:i + 1]) for i, layer in enumerate(LAYERS)}
MAY["exosim"] = MAY["upload"] | {"exosim"}

# A library's headers by pattern, and the files that may include them.
HOMES = [
    (r"libetpan/", r"imap/"),
    (r"stringprep\.h", r"imap/(saslprep|fold)\.c"),
    (r"sasl/", r"imap/"),
    (r"curl/", r"upload/http\.c$|tests/"),
    (r"gmime/|glib", r"upload/"),
    (r"jansson\.h", r"upload/|engine/(?!base/)|tests/"),
    (r"sqlite3\.h", r"engine/store/|tests/"),
    (r"libpq", r"engine/store/pg\w*\.[ch]$"),
    (r"microhttpd\.h", r"upload/exosim/|engine/command/dashboard\.c$|tests/"),
    (r"cmocka\.h", r"tests/"),
]
# Headers that other files see must not show a library's types, except inside its home (which has no lower reader).
TYPES = [(r"\bmailimap\w*|\bclist\b|\bmailstream\w*", r"imap/"), (r"\bCURL\w*", r"upload/http\.h$"), (r"\bGMime\w*|\bGObject\b", r"upload/"),
         (r"\bsqlite3\w*", r"engine/store/"), (r"\bstruct MHD_\w+|\bMHD_\w+", r"upload/exosim/"),
         (r"\bjson_t\b", r"upload/|engine/(?!base/)")]
# A header whose every reader is in the same folder is private to the home and may show the library.
LONGEST = 600


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def includes(root, path):
    """[(line number, "quote" or "angle", what)]"""
    found = []
    for number, line in enumerate(read(root, path).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if match:
            found.append((number, "quote" if match.group(1) == '"' else "angle", match.group(2)))
    return found


def layer_of(path):
    return FOLDERS.get(os.path.dirname(path))


def check_layers(root, files):
    """A file includes only from its own layer or a lower one, by full path from the root."""
    bad = []
    for path in files:
        parts = path.split("/")
        layer = layer_of(path)
        if path.startswith("tests/unit/") and len(parts) == 4:
            layer = FOLDERS.get({"base": "engine/base", "store": "engine/store", "command": "engine/command", "exosim": "upload/exosim"}.get(parts[2], parts[2]))
        for line, kind, what in includes(root, path):
            if kind != "quote":
                continue
            if not os.path.exists(os.path.join(root, what)):
                bad.append(f'{path}:{line}: "{what}" is not a path from the root')
            elif layer and layer_of(what) and layer_of(what) not in MAY[layer]:
                bad.append(f"{path}:{line}: {layer} may not include from {layer_of(what)} ({what})")
            elif layer and what.startswith("tests/") and not path.startswith("tests/"):
                bad.append(f"{path}:{line}: the program includes a test's file")
    return bad


def check_homes(root, files):
    """Each outside library has one home."""
    bad = []
    for path in files:
        for line, kind, what in includes(root, path):
            for library, home in HOMES:
                if kind == "angle" and re.match(library, what) and not re.match(home, path):
                    bad.append(f"{path}:{line}: <{what}> belongs into {home}")
    return bad


def check_types(root, files):
    """No header shows a library's types outside its home."""
    bad = []
    for path in files:
        if not path.endswith(".h") or path.startswith("tests/"):
            continue
        text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group(0)), read(root, path), flags=re.S)
        for number, line in enumerate(text.splitlines(), 1):
            for types, home in TYPES:
                match = re.search(types, line)
                if match and not line.lstrip().startswith("#include") and not re.match(home, path):
                    bad.append(f"{path}:{number}: shows {match.group(0)} outside {home}")
    return bad


def check_first(root, files):
    """x.c includes x.h before anything else (or its folder's private header that begins with x.h); a header has a guard and says what
    it is in its first line."""
    bad = []
    present = set(files)
    for path in files:
        found = includes(root, path)
        own = path[:-2] + ".h"
        first = found[0][2] if found else ""
        through = first in present and os.path.dirname(first) == os.path.dirname(path) and own in [w for _, _, w in includes(root, first)]
        if path.endswith(".c") and own in present and first != own and not through:
            bad.append(f'{path}:1: its own header "{own}" does not come first')
        if path.endswith(".h") and not path.startswith("tests/"):
            text = read(root, path)
            if not text.startswith("/*"):
                bad.append(f"{path}:1: no sentence on top says what this is")
            if not re.search(r"^#ifndef (NF_\w+)\n#define \1$", text, re.M):
                bad.append(f"{path}:1: no include guard NF_...")
    return bad


def check_style(root, files):
    """What the style forbids and no compiler warning finds."""
    bad = []
    for path in files:
        for number, line in enumerate(read(root, path).splitlines(), 1):
            # GObject's own macros want the typedefs
            if re.match(r"\s*typedef\s+(struct|union)\b", line) and "G_DEFINE_TYPE" not in read(root, path):
                bad.append(f"{path}:{number}: typedef'd struct")
            if re.search(r"\balloca\s*\(", line):
                bad.append(f"{path}:{number}: alloca")
            if re.match(r"\s*//", line):
                bad.append(f"{path}:{number}: // comment (the tree uses /* */)")
            if not path.startswith("tests/") and not path.endswith("main.c") and re.search(r"(?<![\w.>])exit\s*\(", line) \
                    and not re.match(r"\s*(/?\*|\")", line):
                bad.append(f"{path}:{number}: only main.c exits")
    return bad


def check_cycles(root, files):
    """Headers include each other without a circle."""
    graph = {p: [w for _, k, w in includes(root, p) if k == "quote"] for p in files if p.endswith(".h")}
    state, bad = {}, []

    def visit(path, trail):
        if state.get(path) == "done":
            return
        if path in trail:
            bad.append(f"{path}:1: circle of includes: {' -> '.join(trail[trail.index(path):] + [path])}")
            return
        for other in graph.get(path, []):
            visit(other, trail + [path])
        state[path] = "done"
    for path in graph:
        visit(path, [])
    return bad


def check_length(root, files):
    return [f"{p}:1: {n} lines; it should be split" for p in files if (n := read(root, p).count("\n")) > LONGEST]


RULES = [check_layers, check_homes, check_types, check_first, check_style, check_cycles, check_length]
WARNINGS = [check_length]
