/* Inside engine/command/target_setup.c and target_steps.c only: what setup does, step by step, each with its inverse. */
#ifndef NF_ENGINE_COMMAND_TARGET_STEPS_H
#define NF_ENGINE_COMMAND_TARGET_STEPS_H

#include <stdbool.h>
#include <stddef.h>

struct setup_step {
	const char *title;
	const char *route;            /* only where the target has it; NULL: always */
	bool of_mailboxes;            /* done for each of $Boxes; else once for the target */
	bool needs_certificate;       /* only where the target signs in by one */
	const char *setup, *teardown; /* PowerShell over the variables that target_preamble sets */
};

/* In the order of setup; teardown goes from the last to the first. */
const struct setup_step *setup_steps(size_t *n);
/* Functions that the steps use, in both scripts. */
extern const char setup_functions[];
extern const char setup_closing[], inventory_body[];

#endif
