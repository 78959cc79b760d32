"""A private Cyrus IMAP (Debian 12: 3.6) from the tree that tests/deps.sh unpacks. It runs under an unprivileged user, also for root."""
import grp
import os
import pwd
import shutil
import subprocess

from . import local
from .rawimap import RawImap

TREE = os.path.join(local.DEPS, "cyrus")
ADMIN, PROXY = "cyrusadm", "migproxy" # the second may act for every user (authzid)

IMAPD_CONF = """
configdirectory: {d}/conf
partition-default: {d}/spool
defaultpartition: default
cyrus_user: {user}
cyrus_group: {group}
servername: localhost
admins: {admin}
proxyservers: {proxy}
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {d}/sasldb2
sasl_mech_list: PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256
tls_server_cert: {d}/tls.pem
tls_server_key: {d}/tls.key
tls_session_timeout: 0
idlesocket: {d}/sock/idle
lmtpsocket: {d}/sock/lmtp
notifysocket: {d}/sock/notify
mboxname_lockpath: {d}/conf/lock
proc_path: {d}/conf/proc
syslog_prefix: nightferry-test
unixhierarchysep: {unix_separator}
altnamespace: {alt_namespace}
sharedprefix: Shared
userprefix: Other
virtdomains: off
defaultdomain: example.org
autocreate_quota: 1024000
autocreate_post: yes
autocreate_inbox_folders: Drafts|Sent|Trash|Spam
autocreate_subscribe_folders: Drafts|Sent|Trash|Spam
xlist-drafts: Drafts
xlist-sent: Sent
xlist-trash: Trash
xlist-junk: Spam
specialusealways: yes
delete_mode: immediate
expunge_mode: immediate
conversations: no
maxlogins_per_user: {logins}
failedloginpause: 0
statuscache: no
sync_log: no
search_engine: none
reject8bit: no
munge8bit: no
"""

CYRUS_CONF = """
START {{
  recover cmd="{bin}/ctl_cyrusdb -C {d}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="{bin}/imapd -C {d}/imapd.conf -U 30" listen="127.0.0.1:{port}" prefork=1 maxchild=50
  imaps cmd="{bin}/imapd -C {d}/imapd.conf -s -U 30" listen="127.0.0.1:{tls_port}" prefork=0 maxchild=50
}}
EVENTS {{
}}
"""


class Cyrus:
    """Started at once. Messages get in by APPEND (admins make the mailboxes by signing in as their users)."""

    def __init__(self, users, *, authority=None, separator="/", alt_namespace=True, logins=3):
        if not os.path.exists(os.path.join(TREE, ".complete")):
            raise local.NotAvailable("build/deps/cyrus is not there: run `make deps`")
        self.users = users if isinstance(users, dict) else {u: "pw-" + u for u in users}
        self.folder = d = local.make_folder("nf-cyrus-")
        self.authority = authority or local.Authority(self.folder)
        self.ca = self.authority.ca
        self.port, self.tls_port = local.free_port(), local.free_port()
        uid, gid = local.mail_owner()
        # the tree may lie where the server's user cannot go (a home of root): it gets a copy
        tree = TREE
        if os.getuid() == 0:
            tree = os.path.join(d, "tree")
            shutil.copytree(os.path.join(TREE, "usr"), os.path.join(tree, "usr"), symlinks=True, copy_function=_link)
        binaries = os.path.join(tree, "usr/lib/cyrus/bin")
        self.env = {"LD_LIBRARY_PATH": os.path.join(tree, "usr/lib/x86_64-linux-gnu"), "CYRUS_VERBOSE": "1"}
        for name in ("spool", "sock", *("conf/" + c for c in ("db", "proc", "socket", "log", "msg", "quota", "user", "lock", "backup"))):
            os.makedirs(os.path.join(d, name))
        cert, key = self.authority.certificate()
        shutil.copy(cert, os.path.join(d, "tls.pem"))
        shutil.copy(key, os.path.join(d, "tls.key"))
        with open(os.path.join(d, "imapd.conf"), "w", encoding="utf-8") as f:
            f.write(IMAPD_CONF.format(d=d, user=pwd.getpwuid(uid).pw_name, group=grp.getgrgid(gid).gr_name, admin=ADMIN, proxy=PROXY,
                                      unix_separator="yes" if separator == "/" else "no",
                                      alt_namespace="yes" if alt_namespace else "no", logins=logins))
        with open(os.path.join(d, "cyrus.conf"), "w", encoding="utf-8") as f:
            f.write(CYRUS_CONF.format(d=d, bin=binaries, port=self.port, tls_port=self.tls_port))
        for user, password in {**self.users, ADMIN: "pw-" + ADMIN, PROXY: "pw-" + PROXY}.items():
            subprocess.run([os.path.join(tree, "usr/sbin/saslpasswd2"), "-p", "-c", "-u", "localhost", "-f", d + "/sasldb2", user],
                           input=password.encode(), env={**os.environ, **self.env}, check=True)
        command = [os.path.join(binaries, "master"), "-C", d + "/imapd.conf", "-M", d + "/cyrus.conf", "-p", d + "/master.pid"]
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", f"{uid}:{gid}", d], check=True)
            command = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--pdeathsig", "TERM", *command]
        self.process = local.spawn(command, d + "/output", self.env)
        try:
            local.wait_for_port(self.tls_port, alive=lambda: self.process.poll() is None)
        except RuntimeError as e:
            raise RuntimeError("cyrus does not start: " + local.read(d + "/output")) from e

    def client(self, user):
        """A checking client, signed in."""
        c = RawImap(self.tls_port, tls=True, ca=self.ca)
        c.login(user, self.users[user])
        return c

    def stop(self):
        local.stop(self.process)
        local.remove_folder(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _link(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
