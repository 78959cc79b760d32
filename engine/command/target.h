/* Inside engine/command/target*.c, and for whoever starts a batch: a target's settings, its test, what an administrator does for it. */
#ifndef NF_ENGINE_COMMAND_TARGET_H
#define NF_ENGINE_COMMAND_TARGET_H

#include "engine/command/cli.h"

/* target_options.c */
extern const struct option_spec target_settings[];
int target_read_settings(struct cli *c, struct target_row *t, struct err *err);
#define TARGET_SECRETS 4
int target_save_secrets(struct cli *c, const struct target_row *t, struct err *err);
/* What the vault holds for it, to be put back by restore; yours to free. */
int target_keep_secrets(struct cli *c, int64_t id, struct secret *kept[TARGET_SECRETS], struct err *err);
int target_restore_secrets(struct cli *c, int64_t id, struct secret *const kept[TARGET_SECRETS], struct err *err);

/* target_test.c */
#define TARGET_ROUTES 8
struct target_trial {
	struct proof proofs[TARGET_ROUTES]; /* of each route of the target, in its order */
	bool conclusive[TARGET_ROUTES];     /* false: the test failed for a reason that says nothing about the route */
	size_t n;
	bool passed;    /* all of them */
	struct err why; /* of the first step that failed */
	json_t *lines;  /* owned */
};
/* Tests every route of the target (whose secrets are stored) on a pilot mailbox; lines go to the terminal as they come, and into lines.
   t's test_passed, tested_at and test_text are set; nothing is saved. -1: it could not be begun. */
int target_try(struct cli *c, struct target_row *t, const char *user, uint64_t probe_bytes, struct target_trial *out,
	struct err *err);
int target_trial_save(struct cli *c, const struct target_row *t, const struct target_trial *trial, struct err *err);
void target_trial_done(struct target_trial *trial);
/* --probe-size, or TARGET_PROBE_DEFAULT: what the routes are likely to be asked for. */
#define TARGET_PROBE_DEFAULT UINT64_MAX
#define TARGET_PROBE_OPTION \
	{ \
		.name = "probe-size", .arg = "SIZE", \
		.help = "the largest message that the test tries (default: the size limit; 4MB by mime); 0 tries none" \
	}
int target_probe_size(struct cli *c, uint64_t *out, struct err *err);
/* The route's proof as people read it: state, age, what was found. */
const char *target_proof_state(const struct proof *p); /* "passed", "FAILED", "passed, in doubt" */
json_t *target_proof_json(const struct proof *p);
/* Before a batch starts: no route of an Exchange target may carry mail (ERR_CONFLICT), or some are proved again because a run spoke
   against their proof. Says what it does on the terminal. */
int target_ready(struct cli *c, struct target_row *t, struct err *err);

/* For a single copy: where no route of the target is proved yet, it is now, on the mailbox itself and without large messages. -1: none is. */
int target_prove_once(struct cli *c, struct target_row *t, const char *address, struct err *err);
/* For batch status: which routes a run spoke against since they were proved; lines on the terminal, "doubts" in c->out. */
int target_say_doubts(struct cli *c, int64_t target_id, struct err *err);

/* target_setup.c */
extern const struct option_spec target_setup_specs[], target_inventory_specs[];
int target_setup(struct cli *c, struct err *err);
int target_teardown(struct cli *c, struct err *err);
int target_inventory(struct cli *c, struct err *err);

#endif
