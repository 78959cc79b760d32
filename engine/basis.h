/* What a forecast of a batch goes by: limits of both sides as they are set, published, learned or measured, and where nothing is known an
   assumption that says so. Reads the state only. */
#ifndef NF_ENGINE_BASIS_H
#define NF_ENGINE_BASIS_H

#include "engine/forecast.h"
#include "engine/store/store.h"

#define BASIS_NOTES 12

struct basis {
	struct forecast_conf conf;    /* borrows zone and schedule of this struct */
	char at_once_text[96];        /* what bounds conf.at_once */
	char notes[BASIS_NOTES][256]; /* what else is assumed, in words */
	size_t n_notes;
	struct zone *zone;         /* owned: whose midnight makes budgets new */
	struct schedule *schedule; /* owned; NULL: always open */
	char zone_name[64];        /* of the schedule; "": UTC */
};

/* at_once 0: as the batch is set. */
int basis_load(struct basis *out, struct store *s, const struct batch *b, const struct endpoint *e,
	const struct target_row *t, unsigned at_once, int64_t now, struct err *err);
void basis_done(struct basis *b);

#endif
