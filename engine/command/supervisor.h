/* The small parent of an engine: starts the worker process, restarts it when it crashed, hands on signals, shows progress meanwhile. It has no threads
   of its own before it starts the worker, and the worker dies with it. */
#ifndef NF_ENGINE_COMMAND_SUPERVISOR_H
#define NF_ENGINE_COMMAND_SUPERVISOR_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct supervisor_conf {
	const char *state, *key_file; /* key_file NULL: as vault.h says */
	int64_t batch_id;             /* 0: any */
	bool once;                    /* the worker ends when nothing can run any more */
	const char *log_path;         /* NULL: standard error */
	bool verbose;
	/* Called about twice a second, and once after the worker has ended (last); for progress. May be NULL. */
	void (*tick)(void *ctx, bool last);
	void *ctx;
};

/* *code: the worker's exit code. *stopped: a signal asked us to end. *said: what the worker reported when it ended with an error (kind NONE:
   nothing). -1: it cannot be started, or crashed too often. */
int supervisor_run(const struct supervisor_conf *conf, int *code, bool *stopped, struct err *said, struct err *err);
/* In a worker: die with the parent, take SIGTERM and SIGINT: first DRAIN, then NOW. Call before any other thread exists. */
struct stop;
int supervisor_worker_signals(struct stop *stop, int64_t parent, struct err *err);
/* In a worker: tells the parent why it ends. false: nobody listens. */
bool supervisor_worker_says(const struct err *why);

#endif
