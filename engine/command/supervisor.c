#define _GNU_SOURCE
#include "engine/command/supervisor.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS 500
#define CRASHES_MOST 8 /* in a row, each within CRASH_SPAN_MS of its start */
#define CRASH_SPAN_MS (10 * 60 * 1000)

static bool is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGABRT || sig == SIGBUS || sig == SIGFPE || sig == SIGILL || sig == SIGSYS;
}

/* The worker's end of a pipe for its last words: one struct err, which the pipe takes whole. */
#define SAY_FD 3
_Static_assert(sizeof(struct err) <= PIPE_BUF, "written in one piece");

static int spawn_worker(const struct supervisor_conf *conf, bool crashed, int say_fd, pid_t *pid, struct err *err)
{
	char batch[32], parent[32];
	const char *argv[20];
	size_t n = 0;
	snprintf(batch, sizeof batch, "%lld", (long long)conf->batch_id);
	snprintf(parent, sizeof parent, "%lld", (long long)getpid());
	argv[n++] = "nightferry";
	argv[n++] = "run";
	argv[n++] = "--worker";
	argv[n++] = parent;
	argv[n++] = "--state";
	argv[n++] = conf->state;
	argv[n++] = "--worker-batch";
	argv[n++] = batch;
	if (conf->key_file) {
		argv[n++] = "--key-file";
		argv[n++] = conf->key_file;
	}
	if (conf->log_path) {
		argv[n++] = "--log-file";
		argv[n++] = conf->log_path;
	}
	if (conf->once)
		argv[n++] = "--once";
	if (crashed)
		argv[n++] = "--crashed";
	if (conf->verbose)
		argv[n++] = "--verbose";
	argv[n] = NULL;
	/* Its own process group: a Ctrl-C reaches it once, through us. Signals start unblocked. */
	posix_spawnattr_t attr;
	sigset_t none;
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	union {
		const char **from;
		char *const *to;
	} args = {.from = argv};
	posix_spawn_file_actions_t files;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, say_fd, SAY_FD);
	int rc = posix_spawn(pid, "/proc/self/exe", &files, &attr, args.to, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return rc ? err_set(err, ERR_INTERNAL, "the engine's process cannot be started: %s", strerror(rc)) : 0;
}

/* Waits for the worker; hands on signals. Returns its wait status. */
static int watch(const struct supervisor_conf *conf, pid_t pid, const sigset_t *set, bool *stopped)
{
	const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
	for (;;) {
		int status;
		pid_t got = waitpid(pid, &status, WNOHANG);
		if (got == pid || (got < 0 && errno == ECHILD))
			return got == pid ? status : 0;
		if (conf->tick)
			conf->tick(conf->ctx, false);
		int sig = sigtimedwait(set, NULL, &tick);
		if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP) {
			*stopped = true;
			kill(pid, SIGTERM);
		}
	}
}

static void read_words(int fd, struct err *said)
{
	struct err words;
	*said = ERR_INIT;
	if (read(fd, &words, sizeof words) == (ssize_t)sizeof words)
		*said = words;
}

int supervisor_run(const struct supervisor_conf *conf, int *code, bool *stopped, struct err *said, struct err *err)
{
	int say[2];
	*said = ERR_INIT;
	/* Above SAY_FD: dup2 of a descriptor onto itself would leave it to be closed at exec. */
	if (pipe2(say, O_CLOEXEC | O_NONBLOCK) ||
		(say[1] == SAY_FD && (say[1] = fcntl(SAY_FD, F_DUPFD_CLOEXEC, SAY_FD + 1)) < 0))
		return err_set(err, ERR_INTERNAL, "no descriptor for the engine's process: %s", strerror(errno));
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	int rc = 0;
	bool crashed = false;
	*stopped = false;
	for (unsigned crashes = 0;;) {
		pid_t pid;
		int64_t since = clock_mono_ms();
		if ((rc = spawn_worker(conf, crashed, say[1], &pid, err)))
			break;
		int status = watch(conf, pid, &set, stopped);
		if (WIFEXITED(status)) {
			*code = WEXITSTATUS(status);
			read_words(say[0], said);
			break;
		}
		int sig = WTERMSIG(status);
		if (*stopped) {
			*code = 128 + sig;
			break;
		}
		crashed = is_fault(sig);
		crashes = clock_mono_ms() - since < CRASH_SPAN_MS ? crashes + 1 : 1;
		log_line(LOG_ERROR, "the engine's process ended by signal %d (%s); it is started again", sig,
			strsignal(sig));
		if (crashes >= CRASHES_MOST) {
			rc = err_set(err, ERR_INTERNAL,
				"the engine's process crashed %u times in a row, the last time by signal %d", crashes,
				sig);
			break;
		}
		const struct timespec pause = {.tv_sec = crashes};
		sig = sigtimedwait(&set, NULL, &pause);
		if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP) {
			*stopped = true;
			*code = 128 + sig;
			break;
		}
	}
	if (conf->tick)
		conf->tick(conf->ctx, true);
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(say[0]);
	close(say[1]);
	return rc;
}

/* --- in the worker ------------------------------------------------------------------------------ */

struct signal_waiter {
	struct stop *stop;
	sigset_t set;
};
static bool has_listener; /* SAY_FD is the parent's pipe; set once, before any thread */

static void *wait_for_signals(void *arg)
{
	struct signal_waiter *w = arg;
	int sig, n = 0;
	while (!sigwait(&w->set, &sig)) {
		log_line(LOG_INFO, n ? "signal %d: stopping at once" : "signal %d: finishing what is in flight", sig);
		stop_request(w->stop, n++ ? STOP_NOW : STOP_DRAIN);
		if (n > 2)
			_exit(128 + sig);
	}
	return NULL;
}

int supervisor_worker_signals(struct stop *stop, int64_t parent, struct err *err)
{
	static struct signal_waiter waiter; /* lives as long as the process */
	pthread_t thread;
	struct stat st;
	has_listener = parent && !fstat(SAY_FD, &st) && S_ISFIFO(st.st_mode) && !fcntl(SAY_FD, F_SETFD, FD_CLOEXEC);
	if (parent) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != (pid_t)parent) /* it died before the line above */
			return err_set(err, ERR_STOPPED, "the parent process is gone");
	}
	waiter.stop = stop;
	sigemptyset(&waiter.set);
	sigaddset(&waiter.set, SIGINT);
	sigaddset(&waiter.set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &waiter.set, NULL);
	if (pthread_create(&thread, NULL, wait_for_signals, &waiter))
		return err_set(err, ERR_INTERNAL, "no thread for signals");
	pthread_detach(thread);
	return 0;
}

bool supervisor_worker_says(const struct err *why)
{
	return has_listener && write(SAY_FD, why, sizeof *why) == (ssize_t)sizeof *why;
}
