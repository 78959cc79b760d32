/* --wait: runs the engine in place for a batch, or attaches to the one that runs, shows progress, and ends with the batch's exit code. */
#ifndef NF_ENGINE_COMMAND_ATTEND_H
#define NF_ENGINE_COMMAND_ATTEND_H

#include "engine/command/cli.h"

/* Exit code, or -1 with err. */
int attend_batch(struct cli *c, const struct batch *b, struct err *err);
/* The exit code a batch's state stands for. */
int attend_exit_code(struct store *s, int64_t batch_id, struct err *err);

#endif
