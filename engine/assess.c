/* A crew of threads, each with a mailbox at a time. Sign-ins that might be refused go one by one: only after one was accepted are several
   made at once, so that three wrong passwords pause the endpoint before a fourth is tried. */
#include "engine/assess.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/utf8.h"
#include "engine/destination.h"
#include "engine/login.h"
#include "engine/survey.h"

#include <stdlib.h>
#include <string.h>

#define STACK (1024 * 1024) /* libetpan puts 64 KiB on the stack */
#define TRIES 4             /* connections of one mailbox that were lost or refused for now */
#define FIRST_TRIES 2       /* while no mailbox was reached yet: a person may be waiting to hear it */
#define BACK_OFF_MS 500
#define BACK_OFF_MOST_MS 30000
#define FENCE_MOST_MS 120000 /* a longer fence ends the look at this mailbox */
#define FAILS 3              /* mailboxes in a row that the network keeps away: that side is not asked any more */

struct crew {
	const struct assess_conf *conf;
	const struct user *users;
	struct assessment *out;
	size_t n;
	struct destination destination;
	pthread_mutex_t sign_in; /* held while a sign-in is made that may be refused */
	pthread_mutex_t lock;    /* guards what follows, and the calls of looked */
	size_t next;
	bool proven;                                /* the last sign-in was accepted */
	unsigned source_failed, destination_failed; /* mailboxes in a row, of the network */
	struct err ended;                           /* why no more is looked at */
	struct err fatal;
};

static bool is_over(struct crew *c)
{
	pthread_mutex_lock(&c->lock);
	bool over = c->ended.kind != ERR_NONE || c->fatal.kind != ERR_NONE;
	pthread_mutex_unlock(&c->lock);
	return over || stop_is_asked(c->conf->stop);
}

static bool is_proven(struct crew *c)
{
	pthread_mutex_lock(&c->lock);
	bool proven = c->proven;
	pthread_mutex_unlock(&c->lock);
	return proven;
}

/* --- the source --------------------------------------------------------------------------------- */

static bool is_of_network(enum err_kind k)
{
	return k == ERR_DNS || k == ERR_FIREWALL || k == ERR_TLS || k == ERR_CERTIFICATE || k == ERR_LOST ||
	       k == ERR_PROTOCOL;
}

static int end_paused(struct crew *c, struct err *err)
{
	pthread_mutex_lock(&c->lock);
	if (c->ended.kind == ERR_NONE) {
		err_set(&c->ended, ERR_CREDENTIALS, "sign-ins at endpoint %s are paused: several were refused in a row",
			c->conf->endpoint->name);
		err_hint(&c->ended,
			"check the passwords before the host bans this address, then: nightferry endpoint test %s",
			c->conf->endpoint->name);
	}
	pthread_mutex_unlock(&c->lock);
	return err_set(err, ERR_STOPPED, "sign-ins are paused");
}

static void note_sign_in(struct crew *c, const struct user *u, bool ok)
{
	struct err err = ERR_INIT;
	bool paused = false;
	if (store_endpoint_sign_in(c->conf->work->store, c->conf->endpoint->id, u->id, ok, &paused, &err))
		log_err(LOG_ERROR, &err, "endpoint %s", c->conf->endpoint->name);
	pthread_mutex_lock(&c->lock);
	c->proven = ok;
	pthread_mutex_unlock(&c->lock);
	if (paused)
		end_paused(c, &err);
}

/* Another process, or the engine, may have paused the endpoint meanwhile. */
static int check_paused(struct crew *c, struct err *err)
{
	struct endpoint now;
	if (store_endpoint_by_id(c->conf->work->store, c->conf->endpoint->id, &now, err))
		return -1;
	return now.paused_at ? end_paused(c, err) : 0;
}

static int sign_in(struct crew *c, const struct user *u, struct source_login *login, struct conn **out, struct err *err)
{
	pthread_mutex_lock(&c->sign_in);
	bool alone = !is_proven(c);
	if (!alone)
		pthread_mutex_unlock(&c->sign_in);
	int rc = is_over(c) ? err_set(err, ERR_STOPPED, "stopped") : check_paused(c, err);
	if (!rc) {
		rc = conn_open(out, &login->conf, c->conf->stop, NULL, NULL, err);
		if (!rc)
			note_sign_in(c, u, true);
		else if (err->kind == ERR_CREDENTIALS || err->kind == ERR_BANNED)
			note_sign_in(c, u, false);
	}
	if (alone)
		pthread_mutex_unlock(&c->sign_in);
	return rc;
}

static int back_off(struct crew *c, unsigned tries, struct err *err)
{
	int64_t ms = c->conf->endpoint->retry_ms ? c->conf->endpoint->retry_ms : BACK_OFF_MS;
	for (unsigned i = 1; i < tries && ms < BACK_OFF_MOST_MS; i++)
		ms *= 2;
	if (err->retry_after_ms > ms)
		ms = err->retry_after_ms;
	if (ms > FENCE_MOST_MS)
		return -1;
	log_err(LOG_INFO, err, "it will be tried again");
	clock_sleep_ms(ms, stop_fd(c->conf->stop, STOP_DRAIN));
	return is_over(c) ? err_set(err, ERR_STOPPED, "stopped") : 0;
}

/* A host that cannot be reached for several mailboxes in a row is not waited for again for each of a thousand. */
static void note_reached(struct crew *c, const struct err *why)
{
	pthread_mutex_lock(&c->lock);
	if (!why || !is_of_network(why->kind))
		c->source_failed = why && why->kind == ERR_STOPPED ? c->source_failed : 0;
	else if (++c->source_failed >= FAILS && c->ended.kind == ERR_NONE) {
		c->ended = *why;
		err_wrap(&c->ended, "endpoint %s could not be reached for %d mailboxes in a row",
			c->conf->endpoint->name, FAILS);
	}
	pthread_mutex_unlock(&c->lock);
}

static int look_at_source(struct crew *c, const struct user *u, struct survey *survey, struct err *err)
{
	struct source_login login;
	struct conn *source = NULL;
	int rc = source_login_init(&login, c->conf->work->store, c->conf->endpoint, u->source_user, u->id, err);
	for (unsigned tries = 1; !rc; tries++) {
		*err = ERR_INIT;
		int got = sign_in(c, u, &login, &source, err);
		if (!got)
			got = survey_go_on(survey, source, err);
		if (!got)
			break;
		conn_close(&source);
		enum err_action act = err_action(err->kind);
		bool again = act == ACT_RETRY || act == ACT_WAIT || act == ACT_SKIP_FOLDER;
		if (!again || tries >= (is_proven(c) ? TRIES : FIRST_TRIES) || back_off(c, tries, err))
			rc = -1;
	}
	conn_close(&source);
	source_login_done(&login);
	note_reached(c, rc ? err : NULL);
	return rc ? err_wrap(err, "source %s", c->conf->endpoint->name) : 0;
}

/* --- the destination ---------------------------------------------------------------------------- */

static void look_at_destination(
	struct crew *c, const struct user *u, struct destination_names *names, struct assessment *out)
{
	struct err err = ERR_INIT;
	pthread_mutex_lock(&c->lock);
	bool down = c->destination_failed >= FAILS;
	pthread_mutex_unlock(&c->lock);
	if (c->conf->source_only)
		return;
	if (down) {
		assessment_add(out, FINDING_NOTE, "destination-not-asked", "nightferry target test",
			"the destination could not be reached for others, and was not asked for this mailbox");
		return;
	}
	int rc = destination_look(&c->destination, c->conf->work, c->conf->stop, u, names, out, &err);
	pthread_mutex_lock(&c->lock);
	c->destination_failed = rc && is_of_network(err.kind) ? c->destination_failed + 1 : 0;
	pthread_mutex_unlock(&c->lock);
}

/* --- a mailbox ---------------------------------------------------------------------------------- */

/* false: it was not looked at, and nothing is to be stored. */
static bool look(struct crew *c, const struct user *u, struct assessment *out)
{
	struct destination_names names;
	destination_names_init(&names, &c->destination);
	struct survey_conf conf = {.work = c->conf->work,
		.stop = c->conf->stop,
		.batch = c->conf->batch,
		.endpoint = c->conf->endpoint,
		.destination = &c->destination};
	struct err err = ERR_INIT;
	*out = (struct assessment){.user_id = u->id};
	look_at_destination(c, u, &names, out);
	conf.rules = names.rules;
	struct survey *survey = survey_new(&conf, u);
	int rc = survey ? look_at_source(c, u, survey, &err) : err_set(&err, ERR_MEMORY, "no memory for a mailbox");
	if (rc && err.kind == ERR_STOPPED) {
		survey_free(&survey);
		destination_names_done(&names);
		assessment_done(out);
		*out = (struct assessment){.user_id = u->id};
		return false;
	}
	out->at = clock_wall_s();
	if (rc) {
		out->error_kind = err.kind;
		err_line(&err, out->error, sizeof out->error);
		utf8_mend(out->error);
	} else {
		survey_finish(survey, out);
	}
	survey_free(&survey);
	destination_names_done(&names);
	return true;
}

static void *crew_main(void *arg)
{
	struct crew *c = arg;
	while (!is_over(c)) {
		pthread_mutex_lock(&c->lock);
		size_t i = c->next < c->n ? c->next++ : c->n;
		pthread_mutex_unlock(&c->lock);
		if (i == c->n)
			break;
		struct err err = ERR_INIT;
		if (!look(c, &c->users[i], &c->out[i]))
			continue;
		int rc = store_assessment_put(c->conf->work->store, &c->out[i], &err);
		pthread_mutex_lock(&c->lock);
		if (rc && c->fatal.kind == ERR_NONE)
			c->fatal = err;
		if (!rc && c->conf->looked)
			c->conf->looked(c->conf->ctx, &c->users[i], &c->out[i]);
		pthread_mutex_unlock(&c->lock);
		assessment_done(&c->out[i]); /* fifty thousand mailboxes: they are in the state now */
	}
	return NULL;
}

static int run_threads(struct crew *c, struct err *err)
{
	size_t want = c->conf->at_once < c->n ? c->conf->at_once : c->n, made = 0;
	pthread_t *threads = calloc(want ? want : 1, sizeof *threads);
	pthread_attr_t attr;
	if (!threads)
		return err_set(err, ERR_MEMORY, "no memory for %zu threads", want);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	while (made < want && !pthread_create(&threads[made], &attr, crew_main, c))
		made++;
	pthread_attr_destroy(&attr);
	for (size_t i = 0; i < made; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	return made || !want ? 0 : err_set(err, ERR_MEMORY, "no thread to look at a mailbox with");
}

int assess_run(const struct assess_conf *conf, const struct user *users, struct assessment *out, size_t n,
	struct err *ended, struct err *err)
{
	struct crew c = {.conf = conf, .users = users, .out = out, .n = n, .fatal = ERR_INIT, .ended = ERR_INIT};
	for (size_t i = 0; i < n; i++)
		out[i] = (struct assessment){.user_id = users[i].id};
	*ended = ERR_INIT;
	if (destination_plan(&c.destination, conf->work->store, conf->target, err))
		return -1;
	pthread_mutex_init(&c.lock, NULL);
	pthread_mutex_init(&c.sign_in, NULL);
	int rc = run_threads(&c, err);
	pthread_mutex_destroy(&c.sign_in);
	pthread_mutex_destroy(&c.lock);
	*ended = c.ended;
	if (!rc && c.fatal.kind != ERR_NONE) {
		*err = c.fatal;
		rc = -1;
	}
	return rc;
}
