"""A private Courier IMAP (Debian 12: 5.0) in a mount namespace of its own: its paths are compiled in. Needs root.
No UIDNEXT in EXAMINE, INBOX. prefix, ALERTs in mid session, and it closes without a greeting above MAXPERIP connections."""
import os
import shutil
import subprocess

from . import local
from .maildir import Maildir
from .rawimap import RawImap

TREE = os.path.join(local.DEPS, "courier")

# Inside the namespace. $T the unpacked tree, $D our folder. Users are given as $USERS: "name password" a line.
START = r"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs $D/layer
mkdir -p $D/layer/{up,work,var}
for f in passwd group nsswitch.conf ld.so.cache hosts services; do [ ! -e /etc/$f ] || cp -L /etc/$f $D/layer/$f; done
grep -q ^courier: $D/layer/passwd || echo "courier:x:$MAIL_UID:$MAIL_GID::/var/lib/courier:/bin/false" >> $D/layer/passwd
grep -q ^courier: $D/layer/group || echo "courier:x:$MAIL_GID:" >> $D/layer/group
mount -t overlay overlay -o lowerdir=$T/usr:/usr /usr
mount -t tmpfs tmpfs /etc
mkdir /etc/courier /etc/ssl
for f in passwd group nsswitch.conf ld.so.cache hosts services; do [ ! -e $D/layer/$f ] || cp $D/layer/$f /etc/$f; done
mount --bind $D/etc /etc/courier
mount -t tmpfs tmpfs /run
mkdir -p /run/courier/authdaemon
mount -t tmpfs tmpfs /var/lib
mkdir -p /var/lib/courier
export LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu/courier-authlib:/usr/lib/courier-authlib
umask 077
: > /etc/courier/userdb
while read -r user password; do
	userdb $user set home=$D/home/$user uid=$MAIL_UID gid=$MAIL_GID
	echo "$password" | userdbpw -md5 | userdb $user set systempw
done <<< "$USERS"
makeuserdb
umask 022
/usr/sbin/authdaemond start
/usr/sbin/imapd start
/usr/sbin/imapd-ssl start
echo started
exec sleep infinity
"""


class Courier:
    """Started at once. The namespace's processes end with it."""

    def __init__(self, users, *, authority=None, connections=4):
        if not os.path.exists(os.path.join(TREE, ".complete")):
            raise local.NotAvailable("build/deps/courier is not there: run `make deps`")
        if os.getuid() != 0: # it changes its groups, which the kernel refuses in a user namespace
            raise local.NotAvailable("Courier needs root")
        namespace = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        probe = subprocess.run([*namespace, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               check=False)
        if probe.returncode != 0:
            raise local.NotAvailable("Courier needs a mount namespace: " + probe.stdout.decode("utf-8", "replace").strip())
        self.users = users if isinstance(users, dict) else {u: "pw-" + u for u in users}
        self.folder = d = local.make_folder("nf-courier-")
        self.authority = authority or local.Authority(self.folder)
        self.ca = self.authority.ca
        self.port, self.tls_port = local.free_port(), local.free_port()
        self.owner = local.mail_owner()
        for name in ("home", "layer"):
            os.makedirs(os.path.join(d, name))
        shutil.copytree(os.path.join(TREE, "etc/courier"), os.path.join(d, "etc"))
        cert, key = self.authority.certificate()
        with open(os.path.join(d, "etc/imapd.pem"), "w", encoding="ascii") as f:
            f.write(local.read(key) + local.read(cert))
        self._set("imapd", ADDRESS="127.0.0.1", PORT=self.port, MAXPERIP=connections, MAXDAEMONS=60, IMAP_ULIMITD=1048576,
                  IMAP_USELOCKS=0, IMAP_ENHANCEDIDLE=0) # else it looks for the gamin daemon, and waits a second for each message
        self._set("imapd-ssl", SSLADDRESS="127.0.0.1", SSLPORT=self.tls_port, TLS_CERTFILE="/etc/courier/imapd.pem",
                  TLS_DHPARAMS="")
        self._set("authdaemonrc", authmodulelist='"authuserdb"', daemons=2)
        for user in self.users:
            Maildir(os.path.join(d, "home", user, "Maildir"), owner=self.owner).folder()
        subprocess.run(["chown", "-R", "%d:%d" % self.owner, d + "/home"], check=True)
        self.process = local.spawn([*namespace, "--mount-proc", "bash", "-c", START], d + "/output", {
            "T": TREE, "D": d, "MAIL_UID": str(self.owner[0]), "MAIL_GID": str(self.owner[1]),
            "USERS": "\n".join(f"{u} {p}" for u, p in self.users.items()), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}, signal="KILL")
        try:
            local.wait_for_port(self.tls_port, alive=lambda: self.process.poll() is None)
        except RuntimeError as e:
            text = local.read(d + "/output")
            self.stop()
            raise RuntimeError("courier does not start: " + text) from e

    def _set(self, name, **values):
        path = os.path.join(self.folder, "etc", name)
        lines = local.read(path).splitlines()
        for key, value in values.items():
            lines = [line for line in lines if not line.startswith(key + "=")] + [f"{key}={value}"]
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")

    def maildir(self, user):
        return Maildir(os.path.join(self.folder, "home", user, "Maildir"), owner=self.owner)

    def client(self, user):
        c = RawImap(self.tls_port, tls=True, ca=self.ca)
        c.command(f"LOGIN {user} {self.users[user]}")
        return c

    def stop(self):
        self.process.kill() # unshare takes the namespace with it
        self.process.wait()
        local.remove_folder(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
