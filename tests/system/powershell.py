"""No PowerShell is on the test machines: a reader of the part of the language that nightferry prints, and every cmdlet with the parameters
it may be given, as Microsoft documents them. What it does not know is an error."""
import re

EXO = "https://learn.microsoft.com/powershell/module/exchange/"
GRAPH = "https://learn.microsoft.com/powershell/module/microsoft.graph.applications/"
CORE = "https://learn.microsoft.com/powershell/module/microsoft.powershell."
COMMON = {"ErrorAction", "Confirm"}
# cmdlet: (source, parameters that are used)
CMDLETS = {
    "Connect-ExchangeOnline": (EXO + "connect-exchangeonline", {"ExchangeEnvironmentName", "ShowBanner"}),
    "Get-Mailbox": (EXO + "get-mailbox", {"Identity", "ResultSize"}),
    "Set-Mailbox": (EXO + "set-mailbox", {"Identity", "MaxReceiveSize", "RetentionHoldEnabled"}),
    "Get-CASMailbox": (EXO + "get-casmailbox", {"Identity"}),
    "Set-CASMailbox": (EXO + "set-casmailbox", {"Identity", "ImapEnabled"}),
    "Get-MailboxStatistics": (EXO + "get-mailboxstatistics", {"Identity"}),
    "Get-MailboxPermission": (EXO + "get-mailboxpermission", {"Identity"}),
    "Add-MailboxPermission": (EXO + "add-mailboxpermission", {"Identity", "User", "AccessRights", "AutoMapping"}),
    "Remove-MailboxPermission": (EXO + "remove-mailboxpermission", {"Identity", "User", "AccessRights"}),
    "Get-ServicePrincipal": (EXO + "get-serviceprincipal", {"Identity"}),
    "New-ServicePrincipal": (EXO + "new-serviceprincipal", {"AppId", "ObjectId", "DisplayName"}),
    "Remove-ServicePrincipal": (EXO + "remove-serviceprincipal", {"Identity"}),
    "Get-DistributionGroup": (EXO + "get-distributiongroup", {"Identity"}),
    "New-DistributionGroup": (EXO + "new-distributiongroup", {"Name", "Type"}),
    "Set-DistributionGroup": (EXO + "set-distributiongroup", {"Identity", "HiddenFromAddressListsEnabled"}),
    "Remove-DistributionGroup": (EXO + "remove-distributiongroup", {"Identity"}),
    "Get-DistributionGroupMember": (EXO + "get-distributiongroupmember", {"Identity", "ResultSize"}),
    "Add-DistributionGroupMember": (EXO + "add-distributiongroupmember", {"Identity", "Member"}),
    "Remove-DistributionGroupMember": (EXO + "remove-distributiongroupmember", {"Identity", "Member"}),
    "Get-ApplicationAccessPolicy": (EXO + "get-applicationaccesspolicy", {"Identity"}),
    "New-ApplicationAccessPolicy": (EXO + "new-applicationaccesspolicy", {"AccessRight", "AppId", "PolicyScopeGroupId", "Description"}),
    "Remove-ApplicationAccessPolicy": (EXO + "remove-applicationaccesspolicy", {"Identity"}),
    "Connect-MgGraph": ("https://learn.microsoft.com/powershell/module/microsoft.graph.authentication/connect-mggraph",
                        {"TenantId", "Environment", "NoWelcome", "Scopes"}),
    "Get-MgApplication": (GRAPH + "get-mgapplication", {"Filter"}),
    "Update-MgApplication": (GRAPH + "update-mgapplication", {"ApplicationId", "KeyCredentials"}),
    "Get-MgServicePrincipal": (GRAPH + "get-mgserviceprincipal", {"Filter"}),
    "New-MgServicePrincipal": (GRAPH + "new-mgserviceprincipal", {"AppId"}),
    "Remove-MgServicePrincipal": (GRAPH + "remove-mgserviceprincipal", {"ServicePrincipalId"}),
    "Get-MgServicePrincipalAppRoleAssignment": (GRAPH + "get-mgserviceprincipalapproleassignment", {"ServicePrincipalId", "All"}),
    "New-MgServicePrincipalAppRoleAssignment": (GRAPH + "new-mgserviceprincipalapproleassignment",
                                                {"ServicePrincipalId", "PrincipalId", "ResourceId", "AppRoleId"}),
    "Remove-MgServicePrincipalAppRoleAssignment": (GRAPH + "remove-mgserviceprincipalapproleassignment",
                                                   {"ServicePrincipalId", "AppRoleAssignmentId"}),
    "Test-Path": (CORE + "management/test-path", {"LiteralPath"}),
    "Import-Csv": (CORE + "utility/import-csv", {"LiteralPath"}),
    "Export-Csv": (CORE + "utility/export-csv", {"LiteralPath", "Append", "NoTypeInformation", "Encoding"}),
    "ForEach-Object": (CORE + "core/foreach-object", set()),
    "Where-Object": (CORE + "core/where-object", set()),
    "Out-Null": (CORE + "core/out-null", set()),
    "Write-Warning": (CORE + "utility/write-warning", set()),
    "Write-Host": (CORE + "utility/write-host", set()),
}
KEYWORDS = {"function", "foreach", "in", "if", "else", "return", "throw", "continue"}
OPERATORS = {"eq", "ne", "gt", "not", "and", "contains", "notcontains", "match", "replace", "join"}
QUOTES = "'\u2018\u2019\u201a\u201b"
PAIRS = {"(": ")", "{": "}", "[": "]"}


class Bad(Exception):
    """The script is not of the language, or uses something that is in no table."""


def tokens(text):
    """(kind, value) of a script: str, var, word, param, number, punct, end. Strings hold their value; "$(...)" inside is read too."""
    out, i, closing = [], 0, []
    while i < len(text):
        c = text[i]
        if c == "#" and (i == 0 or text[i - 1] in " \t\n;({"):
            i = text.find("\n", i) % (len(text) + 1)
        elif c in QUOTES:
            value, i = quoted(text, i + 1)
            out.append(("str", value))
        elif c == '"':
            value, inner, i = expandable(text, i + 1)
            out.append(("str", value))
            out += [("punct", "$(")] + inner + [("punct", ")")] if inner else []
        elif c in "({[":
            closing.append(PAIRS[c])
            out.append(("punct", c))
            i += 1
        elif c in ")}]":
            if not closing or closing.pop() != c:
                raise Bad(f"'{c}' closes nothing at {text[max(0, i - 60):i + 1]!r}")
            out.append(("punct", c))
            i += 1
        elif c in "\n;":
            out.append(("end", c))
            i += 1
        elif c in " \t":
            i += 1
        else:
            m = re.compile(r"\$[A-Za-z_]\w*|@(?=[({])|-[A-Za-z]+:?|[A-Za-z_][\w.-]*|0x[0-9a-f]+|\d+|::|\+=|[=|,.+]").match(text, i)
            if not m:
                raise Bad(f"what is this: {text[i:i + 40]!r}")
            word = m.group()
            kind = "var" if word[0] == "$" else "param" if word[0] == "-" else "word" if word[0].isalpha() else "number" \
                if word[0].isdigit() else "punct"
            out.append((kind, word))
            i = m.end()
    if closing:
        raise Bad(f"not closed: {closing}")
    return out


def quoted(text, i):
    value = ""
    while True:
        if i >= len(text):
            raise Bad("a string is not closed")
        if text[i] in QUOTES:
            if i + 1 < len(text) and text[i + 1] in QUOTES:
                value += text[i]
                i += 2
                continue
            return value, i + 1
        value += text[i]
        i += 1


def expandable(text, i):
    """Up to the closing '"'; what stands in $(...) comes back as tokens."""
    value, inner = "", []
    while True:
        if i >= len(text) or text[i] == "`":
            raise Bad("a string is not closed, or has a backtick")
        if text[i] == '"':
            return value, inner, i + 1
        if text.startswith("$(", i):
            depth, start = 1, i + 2
            i = start
            while depth:
                if i >= len(text):
                    raise Bad("$( is not closed")
                depth += {"(": 1, ")": -1}.get(text[i], 0)
                i += 1
            inner += tokens(text[start:i - 1])
            continue
        value += text[i]
        i += 1


def check(text):
    """Reads a script; returns its tokens. Bad: it is broken, or uses what is in no table."""
    if not text.isascii():
        raise Bad("not ASCII: it would depend on how it is saved")
    found = tokens(text)
    own = {found[i + 1][1] for i, t in enumerate(found) if t == ("word", "function")}
    command, used = None, []
    depth, stack = 0, []
    for i, (kind, value) in enumerate(found):
        before = found[i - 1] if i else ("end", "\n")
        starts = before[0] == "end" or before[1] in ("{", "(", "|", "=", "else", "throw", "return", "+=", "in", "$(")
        if kind == "punct" and value in ("(", "{", "[", "$("):
            stack.append(command)
            command, depth = None, depth + 1
        elif kind == "punct" and value in (")", "}", "]"):
            command = stack.pop()
        elif kind == "end" or value == "|":
            command = None
        elif kind == "word" and starts and value not in KEYWORDS:
            following = found[i + 1][1] if i + 1 < len(found) else ""
            if following == "=" or before[1] == "[":
                continue  # a name in a hash table
            if value not in CMDLETS and value not in own:
                raise Bad(f"unknown command {value}")
            command = value
            used.append(value)
        elif kind == "word" and command is None and "-" in value and value not in own:
            raise Bad(f"a command where none can be: {value}")
        elif kind == "param":
            name = value.lstrip("-").rstrip(":")
            if name in OPERATORS:
                continue
            if command is None or command in own or name not in CMDLETS[command][1] | COMMON:
                raise Bad(f"{command} has no parameter {value}")
    return found, used


def strings(found):
    """Values of string expressions: 'a' + [char]0x41 + 'b' is one."""
    out, i = [], 0
    while i < len(found):
        if found[i][0] != "str":
            i += 1
            continue
        value = found[i][1]
        i += 1
        while True:
            rest = [v for _, v in found[i:i + 12]]
            if rest[:7] == ["+", "[", "char", "]", "::", "ConvertFromUtf32", "("]:
                value += chr(int(rest[7], 16))
                i += 9
            elif rest[:4] == ["+", "[", "char", "]"]:
                value += chr(int(rest[4], 16))
                i += 5
            else:
                break
            if [v for _, v in found[i:i + 1]] == ["+"] and found[i + 1][0] == "str":
                value += found[i + 1][1]
                i += 2
        out.append(value)
    return out
