/* exosim: starts the servers, says so in one line, and ends at SIGTERM or SIGINT. */
#include "engine/base/log.h"
#include "upload/exosim/admin.h"
#include "upload/exosim/config.h"
#include "upload/exosim/front.h"
#include "upload/exosim/graph.h"
#include "upload/exosim/graph_trace.h"
#include "upload/exosim/late.h"
#include "upload/exosim/recode.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>

#define BODY_MAX ((size_t)64 * 1024 * 1024) /* the hooks lower it for each request */

static const struct http_hooks admin_hooks = {.handle = admin_handle};

struct servers {
	struct http *https, *admin;
	struct front *front;
};

static int read_text(const char *path, char **out, struct err *err)
{
	FILE *f = fopen(path, "re");
	char text[65536];
	size_t n;

	if (!f)
		return err_set(err, ERR_USAGE, "%s: %s", path, strerror(errno));
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	*out = strdup(text);
	secret_wipe(text, sizeof(text));
	return 0;
}

static int start(struct servers *v, struct exosim *x, struct config *c, struct err *err)
{
	char *cert = NULL, *key = NULL;
	int fd, r = -1;

	if (wire_tls_new(&x->tls, c->cert, c->key, err) < 0 || read_text(c->cert, &cert, err) < 0 ||
		read_text(c->key, &key, err) < 0)
		goto out;
	x->late = late_new(x);
	if ((fd = front_listen(&c->https_port, err)) < 0 ||
		http_open(&v->https, fd, cert, key, BODY_MAX, &graph_hooks, x, err) < 0)
		goto out;
	if ((fd = front_listen(&c->admin_port, err)) < 0 ||
		http_open(&v->admin, fd, NULL, NULL, (size_t)1 << 20, &admin_hooks, x, err) < 0)
		goto out;
	if ((fd = front_listen(&c->imaps_port, err)) < 0 || front_open(&v->front, x, fd, err) < 0)
		goto out;
	r = 0;
out:
	if (key)
		secret_wipe(key, strlen(key));
	free(cert);
	free(key);
	return r;
}

static void done(struct exosim *x)
{
	graph_trace_close(&x->trace);
	wire_tls_free(&x->tls);
	grants_free(&x->grants);
	faults_free(&x->faults);
	world_free(&x->world);
	secret_free(&x->backend_password);
	free(x->backend_host);
	free(x->backend_master);
	free(x->spool_dir);
	stop_free(&x->stop);
}

static int run(struct exosim *x, struct config *c, const sigset_t *signals, struct err *err)
{
	struct servers v = {0};
	int r = start(&v, x, c, err), sig;
	bool clean;

	if (r == 0) {
		printf("exosim ready https=%u imaps=%u admin=%u\n", c->https_port, c->imaps_port, c->admin_port);
		fflush(stdout);
		sigwait(signals, &sig);
	}
	stop_request(x->stop, STOP_NOW);
	clean = front_close(&v.front);
	http_close(&v.https);
	http_close(&v.admin);
	late_free(&x->late);
	/* A session that does not end still uses all of it: leave it to the end of the process. */
	if (!clean)
		_Exit(r ? 1 : 0);
	return r;
}

int main(int argc, char **argv)
{
	struct exosim x = {.seed = 1};
	struct config c;
	struct err err = ERR_INIT;
	sigset_t signals;
	char line[1600];
	const char *tmp = getenv("TMPDIR");
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	recode_init();
	profile_init(&x.profile, false);
	x.stop = stop_new(NULL);
	x.world = world_new(&x.profile);
	x.spool_dir = strdup(tmp && *tmp ? tmp : "/tmp");
	assert(x.stop && x.spool_dir);
	x.faults = faults_new();
	x.grants = grants_new(x.world, &x.profile);
	r = config_read(&c, &x, argc, argv, &err);
	if (r == 0 && c.help) {
		config_help(stdout);
	} else if (r == 0) {
		log_init(NULL, c.verbose ? LOG_DEBUG : LOG_WARN, false, &err);
		r = run(&x, &c, &signals, &err);
	}
	if (r < 0)
		fprintf(stderr, "exosim: %s\n", err_line(&err, line, sizeof(line)));
	done(&x);
	log_done();
	return r < 0 ? 2 : 0;
}
