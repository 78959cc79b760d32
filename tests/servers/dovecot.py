"""A private Dovecot (Debian 12: 2.3.19)."""
import base64
import grp
import hashlib
import hmac
import json
import os
import pwd
import shutil
import subprocess
import time

from . import local
from .maildir import Maildir

MASTER = ("nfmaster", "master-pw")
TOKEN_KEY = b"nightferry-test-token-key"

CONFIG = """
base_dir = {d}/run
state_dir = {d}/state
log_path = {d}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {login}
first_valid_uid = 0
first_valid_gid = 0
ssl = {ssl}
ssl_cert = <{cert}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
auth_master_user_separator = *
auth_username_chars =
auth_cache_size = 0
auth_failure_delay = 0 secs
mail_max_userip_connections = {connections}
mail_location = {location}
mail_fsync = {fsync}
mail_max_keyword_length = 1000
mail_plugins = listescape{quota_plugin}
mailbox_list_index = yes
protocol imap {{
  mail_plugins = $mail_plugins{imap_quota_plugin}
}}
plugin {{
{plugin}
}}
namespace inbox {{
  inbox = yes
  separator = {separator}
  prefix = {prefix}
{mailboxes}
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {d}/masters
  master = yes
  result_success = continue
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {d}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {d}/users
  mechanisms = plain login scram-sha-256
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {d}/users
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 1024
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
{extra}
"""

SPECIAL_USE = (("Drafts", "\\Drafts"), ("Sent", "\\Sent"), ("Trash", "\\Trash"), ("Junk", "\\Junk"), ("Archive", "\\Archive"))


class Dovecot:
    """Started at once; use as a context manager or call stop(). `port` speaks clear text and STARTTLS, `tls_port` TLS."""

    def __init__(self, users, *, authority=None, separator="/", prefix="", layout="++", special_use=True, quota_kb=None,
                 connections=100, mechanisms="plain login scram-sha-256 xoauth2", fsync="never", certificate=None, tls=True,
                 extra="", plugin=""):
        """users: {name: password} or names (the password is then "pw-" + name). special_use: the usual, none, or pairs of name and attribute."""
        if shutil.which("dovecot", path=local.PATH) is None:
            raise local.NotAvailable("dovecot is not installed")
        self.users = users if isinstance(users, dict) else {u: "pw-" + u for u in users}
        self.folder = local.make_folder("nf-dovecot-")
        self.separator, self.prefix, self.layout = separator, prefix, layout
        self.authority = authority or local.Authority(self.folder)
        self.ca = self.authority.ca
        self.port, self.tls_port = local.free_port(), local.free_port()
        self.tls, self.process = tls, None
        self.owner = local.mail_owner()
        cert, key = certificate or self.authority.certificate()
        for name in ("run", "state", "home", "keys/default/HS256"):
            os.makedirs(os.path.join(self.folder, name))
        os.chown(os.path.join(self.folder, "home"), *self.owner)
        # Dovecot's own processes refuse to be root; its package brings users for them
        user, login, group = "dovecot", "dovenull", "dovecot"
        if os.getuid() != 0:
            user = login = pwd.getpwuid(os.getuid()).pw_name
            group = grp.getgrgid(os.getgid()).gr_name
        self._write("users", "".join(self._user_line(u, p) for u, p in self.users.items()))
        self._write("masters", f"{MASTER[0]}:{{PLAIN}}{MASTER[1]}\n")
        self._write("oauth2.conf", f"introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={self.folder}/keys/\n"
                    "username_attribute = sub\n")
        self._write("keys/default/HS256/default", base64.b64encode(TOKEN_KEY).decode() + "\n")
        mailboxes = "".join(f'  mailbox "{name}" {{\n    auto = subscribe\n    special_use = {use}\n  }}\n'
                            for name, use in (SPECIAL_USE if special_use is True else special_use or ()))
        quota = quota_kb is not None
        plugins = plugin + (f"\n  quota = count:User quota\n  quota_vsizes = yes\n  quota_rule = *:storage={quota_kb}K" if quota else "")
        self._write("dovecot.conf", CONFIG.format(
            d=self.folder, user=user, login=login, group=group, ssl="yes" if tls else "no", cert=cert, key=key, mechanisms=mechanisms, plugin=plugins,
            connections=connections, fsync=fsync, location="maildir:~/Maildir" + (":LAYOUT=fs" if layout == "fs" else ""),
            quota_plugin=" quota" if quota else "", imap_quota_plugin=" imap_quota" if quota else "",
            separator='"\\\\"' if separator == "\\" else separator, prefix=prefix.replace("\\", "\\\\"), mailboxes=mailboxes,
            port=self.port, tls_port=self.tls_port, extra=extra))
        self.start()

    def _write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
            f.write(text)

    def _user_line(self, user, password):
        return f"{user}:{{PLAIN}}{password}:{self.owner[0]}:{self.owner[1]}::{self.home(user)}::\n"

    def home(self, user):
        return os.path.join(self.folder, "home", user)

    def maildir(self, user):
        """Where messages can be put without the server."""
        return Maildir(os.path.join(self.home(user), "Maildir"), layout=self.layout, owner=self.owner)

    def token(self, user, seconds=3600):
        """An access token for XOAUTH2; seconds below 0 make an expired one."""
        def b64(data):
            return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=")
        now = int(time.time())
        body = b64({"alg": "HS256", "typ": "JWT"}) + b"." + b64({"sub": user, "iat": now - 5, "exp": now + seconds})
        mac = hmac.new(TOKEN_KEY, body, hashlib.sha256).digest()
        return (body + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()

    def log(self):
        return local.read(os.path.join(self.folder, "log"))

    def doveadm(self, *args):
        done = subprocess.run(["doveadm", "-c", os.path.join(self.folder, "dovecot.conf"), *args], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise RuntimeError("doveadm " + " ".join(args) + ": " + done.stdout.decode("utf-8", "replace"))
        return done.stdout.decode("utf-8", "replace")

    def start(self):
        self.process = local.spawn(["dovecot", "-F", "-c", os.path.join(self.folder, "dovecot.conf")],
                                   os.path.join(self.folder, "output"))
        try:
            local.wait_for_port(self.tls_port if self.tls else self.port, alive=lambda: self.process.poll() is None)
        except RuntimeError as e:
            raise RuntimeError(f"dovecot does not start: {local.read(self.folder + '/output')}{self.log()}") from e

    def stop(self, keep=False):
        """keep: the folder stays, start() goes on with the same mail."""
        if keep:
            local.stop(self.process)
        else:
            local.stop_later(self.process, self.folder)
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
