#include "engine/command/fence_watch.h"

#include "engine/base/clock.h"
#include "engine/base/stop.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define LOOK_MS 200
#define WORTH_MS 1000 /* shorter waits are not told; nor is a fence that ends that much later than the one that was */

struct fence_watch {
	struct scope *scope; /* borrowed */
	const char *name;    /* borrowed */
	struct stop *stop;   /* owned */
	pthread_t thread;
};

static void *watch(void *arg)
{
	const struct fence_watch *w = arg;
	int64_t told_until_ms = 0;
	while (!stop_is_asked(w->stop)) {
		struct scope_view v;
		scope_look(w->scope, &v);
		int64_t until_ms = clock_mono_ms() + v.fenced_ms;
		if (v.waiting && v.fenced_ms > WORTH_MS && until_ms > told_until_ms + WORTH_MS) {
			fprintf(stderr,
				"nightferry: note: a server asked to wait: %s goes on by itself in %lld s%s%s\n",
				w->name, (long long)(v.fenced_ms + 999) / 1000, v.reason[0] ? ": " : "", v.reason);
			told_until_ms = until_ms;
		}
		clock_sleep_ms(LOOK_MS, stop_fd(w->stop, STOP_DRAIN));
	}
	return NULL;
}

struct fence_watch *fence_watch_new(struct scope *scope, const char *name)
{
	struct fence_watch *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->scope = scope;
	w->name = name;
	w->stop = stop_new(NULL);
	if (!w->stop || pthread_create(&w->thread, NULL, watch, w)) {
		stop_free(&w->stop);
		free(w);
		return NULL;
	}
	return w;
}

void fence_watch_free(struct fence_watch **w)
{
	if (!*w)
		return;
	stop_request((*w)->stop, STOP_DRAIN);
	pthread_join((*w)->thread, NULL);
	stop_free(&(*w)->stop);
	free(*w);
	*w = NULL;
}
