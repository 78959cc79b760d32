#include "engine/pilot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGES_FEW 50 /* fewer prove little */
#define MESSAGES_ENOUGH 300
#define MESSAGES_MANY 5000 /* more take longer than a pilot should */
#define BYTES_MANY 1e9

struct typical {
	double folders, size; /* medians: folders a mailbox, octets a message */
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof *v, by_value);
	return n ? v[n / 2] : 0;
}

static bool can_be(const struct assessment *a)
{
	return a->at && a->error_kind == ERR_NONE && !a->problems && a->messages;
}

static struct typical find_typical(const struct assessment *v, size_t n)
{
	struct typical t = {0};
	double *folders = calloc(n + 1, sizeof *folders), *size = calloc(n + 1, sizeof *size);
	size_t k = 0;
	for (size_t i = 0; folders && size && i < n; i++) {
		if (!can_be(&v[i]))
			continue;
		folders[k] = v[i].folders_moved;
		size[k++] = (double)v[i].bytes / (double)v[i].messages;
	}
	if (folders && size) {
		t.folders = median(folders, k);
		t.size = median(size, k);
	}
	free(folders);
	free(size);
	return t;
}

/* Few and small messages take little time; folders, drafts, notes are what a pilot is for; far from the usual tells little of the others. */
static double score(const struct assessment *a, const struct typical *t)
{
	double messages = (double)a->messages, bytes = (double)a->bytes, points = 0;
	points -= messages < MESSAGES_FEW ? 3 * log(MESSAGES_FEW / messages) : 0;
	points -= messages > MESSAGES_ENOUGH ? 0.5 * log(messages / MESSAGES_ENOUGH) : 0;
	points -= messages > MESSAGES_MANY ? 2 * log(messages / MESSAGES_MANY) : 0;
	points -= bytes > BYTES_MANY ? 2 * log(bytes / BYTES_MANY) : 0;
	if (t->folders > 0)
		points += fmin(log2((double)(a->folders_moved + 1) / t->folders), 2);
	if (t->size > 0 && bytes > 0)
		points -= fabs(log(bytes / messages / t->size)) / 2;
	points += (a->drafts > 0) * 0.5 + fmin(a->notes, 3) * 0.3;
	points -= a->left_out * 0.3; /* each must be acknowledged before the others start */
	return points;
}

size_t pilot_choose(const struct assessment *v, size_t n, char *why, size_t size)
{
	struct typical t = find_typical(v, n);
	size_t best = n;
	double most = 0;
	for (size_t i = 0; i < n; i++) {
		if (!can_be(&v[i]))
			continue;
		double points = score(&v[i], &t);
		if (best == n || points > most) {
			best = i;
			most = points;
		}
	}
	if (best < n)
		snprintf(why, size, "%llu messages, %.1f MB, %u folders%s, nothing to be mended first",
			(unsigned long long)v[best].messages, (double)v[best].bytes / 1e6, v[best].folders_moved,
			v[best].drafts ? ", drafts" : "");
	return best;
}
