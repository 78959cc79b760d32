"""Runs the program under test with a home, state and environment of its own. NF_BIN names another build of it."""
import json
import os
import re
import signal
import subprocess
import threading
import time

from . import local


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\n--- stdout\n{self.out[-6000:]}\n--- stderr\n{self.err[-6000:]}"


class PeakMemory(threading.Thread):
    """Watches a process and its children; `kb` is the largest resident size that one of them had. (What wait4 reports would count the
    copy of this program that the child was before it became the other.)"""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.kb, self.done = process, 0, False
        self.start()

    def run(self):
        todo = []
        while not self.done and self.process.returncode is None:
            todo = [self.process.pid]
            while todo:
                pid = todo.pop()
                todo += [int(p) for p in local.read(f"/proc/{pid}/task/{pid}/children").split()]
                peak = re.search(r"^VmHWM:\s*(\d+)", local.read(f"/proc/{pid}/status"), re.M)
                self.kb = max(self.kb, int(peak.group(1)) if peak else 0)
            time.sleep(0.01)


# A sanitizer's report, or a worker that died of a fault of its own and was started again: the exit code tells neither.
FAULT = re.compile(r"\w+Sanitizer|runtime error: |process (?:ended|crashed)[^\n]* by signal (?:4|6|7|8|11|31)\b|Assertion .* failed")


class Nightferry:
    """One person's nightferry. Exit codes are checked unless told otherwise; a command that does not end is killed and fails."""

    def __init__(self, binary=None, env=None):
        build = os.path.join(local.ROOT, os.environ.get("NF_BUILD", "build"))
        self.binary = os.path.abspath(binary or os.environ.get("NF_BIN") or os.path.join(build, "nightferry"))
        self.folder = local.make_folder("nf-home-")
        self.state = os.path.join(self.folder, "state", "state.db")
        os.makedirs(os.path.dirname(self.state), mode=0o700)
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL", "TERM", "LD_PRELOAD") or k.startswith("NF_DELAY")
                or k.endswith("SAN_OPTIONS")}  # LD_PRELOAD, NF_DELAY: make shake
        self.env = {**keep, "HOME": self.folder, "XDG_STATE_HOME": self.folder + "/xdg-state", "XDG_CONFIG_HOME": self.folder + "/xdg-config",
                    "XDG_DATA_HOME": self.folder + "/xdg-data", "XDG_RUNTIME_DIR": self.folder, "NIGHTFERRY_STATE": self.state,
                    "NO_COLOR": "1", **(env or {})}
        self.crashes = False     # the test makes it crash on purpose
        self.output = []         # all that was ever printed, for the search for secrets
        self.secrets = 0

    def secret_file(self, text, name=None):
        """A file of mode 0600 with a password or the like."""
        self.secrets += 1
        path = os.path.join(self.folder, name or f"secret{self.secrets}")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def start(self, *args, env=None, binary=None, **kw):
        """A Popen with text pipes, in a process group of its own."""
        return subprocess.Popen([binary or self.binary, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env={**self.env, **(env or {})}, cwd=self.folder, start_new_session=True, **kw)

    def finish(self, process, timeout=120):
        try:
            out, err = process.communicate(timeout=timeout * local.SLOWER)
        except subprocess.TimeoutExpired as e:
            stacks = self.stacks(process.pid)
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"no end after {timeout * local.SLOWER:.0f} s: {process.args}\n{stacks}\n"
                                 f"{out.decode('utf-8', 'replace')[-3000:]}\n{err.decode('utf-8', 'replace')[-3000:]}") from e
        result = Result(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))
        self.output.append(result.out + result.err)
        assert self.crashes or not FAULT.search(result.err), f"nightferry crashed on the way: {result!r}"
        return result

    @staticmethod
    def stacks(pid):
        """Where each thread of the program and its children waits, for the report of a hang."""
        lines, todo = [], [pid]
        while todo:
            process = todo.pop()
            try:
                for task in os.listdir(f"/proc/{process}/task"):
                    place = f"/proc/{process}/task/{task}"
                    todo += [int(p) for p in local.read(place + "/children").split()]
                    lines.append(f"{task} {local.read(place + '/comm').strip()} {local.read(place + '/wchan')} "
                                 f"{local.read(place + '/syscall').strip()}")
            except OSError:
                pass
        return "\n".join(lines)

    def run(self, *args, code=0, timeout=120, env=None, binary=None):
        """code: the exit code that must come (None: any; a tuple: one of these)."""
        result = self.finish(self.start(*args, env=env, binary=binary), timeout)
        wanted = code if isinstance(code, tuple) else (code,)
        assert code is None or result.code in wanted, f"nightferry {' '.join(map(str, args))}: wanted exit {code}, got {result!r}"
        assert result.code >= 0 or code is None or result.code in wanted, f"died by signal {-result.code}: {result!r}"
        return result

    def close(self):
        local.remove_folder(self.folder)
