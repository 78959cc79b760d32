/* The largest message that arrives whole: the bound itself first, then halves of what is between, to a sixty-fourth. */
#include "upload/prove_parts.h"

#include <inttypes.h>

#define NEAR_ENOUGH_BYTES ((uint64_t)16 * 1024)
#define MOST_SIZE_PROBES 10

uint64_t prove_next_size(uint64_t good, uint64_t bad, uint64_t most)
{
	if (bad == 0)
		return good < most ? most : 0;
	uint64_t near = bad / 64 > NEAR_ENOUGH_BYTES ? bad / 64 : NEAR_ENOUGH_BYTES;
	return bad > good && bad - good > near ? good + (bad - good) / 2 : 0;
}

/* *whole: it arrived. -1: this says nothing about the size. */
static int try_size(struct prove *p, uint64_t bytes, bool *whole, struct err *why, struct err *err)
{
	const struct target_ops *ops = p->conf->ops;
	struct mail *m = NULL;
	struct spool *body = NULL;
	struct fingerprint print = {0};
	struct remote_mail found = {0};
	struct err ignored = ERR_INIT;
	*whole = false;
	if (probe_mail_make_size(bytes, p->conf->conf->spool_dir, p->now, &m, err))
		return -1;
	struct put_item item = {.mail = m};
	int rc = ops->put(p->target, &p->folder, &item, 1, err);
	if (rc == 0 && item.result == PUT_REFUSED) {
		*why = item.err;
	} else if (rc == 0 && item.result != PUT_PLACED) {
		*err = item.err;
		rc = -1;
	} else if (rc == 0) {
		rc = prove_read_back(p, item.receipt.id, &found, &body, &print, err);
		*whole = rc == 0 && (probe_mail_is_same(m, &print) || probe_mail_means_same(m, body));
		if (rc == 0 && !*whole)
			err_set(why, ERR_TOO_BIG, "it was taken and came back cut or altered");
		else if (rc &&
			 err->kind == ERR_GONE) { /* Graph was seen to say yes and make nothing (spec, section 3) */
			err_set(why, ERR_TOO_BIG, "it was taken and is not there");
			err_clear(err);
			rc = 0;
		}
		if (item.receipt.id[0])
			ops->remove_probe(p->target, &p->folder, item.receipt.id, &ignored);
	}
	spool_free(&body);
	fingerprint_done(&print);
	fingerprint_done(&found.print);
	mail_free(&m);
	return rc;
}

static const char *size_text(uint64_t n, char out[32])
{
	if (n >= 1000000)
		snprintf(out, 32, "%.2f MB", (double)n / 1e6);
	else
		snprintf(out, 32, "%.1f kB", (double)n / 1e3);
	return out;
}

/* The last line: what all the tries come to. */
static enum prove_outcome found_limit(struct prove *p, struct prove_line *line)
{
	const struct prove_facts *f = &p->facts;
	char good[32], bad[32];
	if (!f->refused)
		return PROVE_SILENT;
	snprintf(line->text, sizeof(line->text), "the limit lies between %s and %s%s", size_text(f->largest, good),
		size_text(f->refused, bad),
		!strcmp(p->conf->ops->name, "imap") && p->conf->conf->kind == TARGET_EXCHANGE
			? ": Set-Mailbox -MaxReceiveSize raises it (150 MB at most)"
			: "");
	return PROVE_NOTE;
}

enum prove_outcome prove_size(struct prove *p, struct prove_line *line)
{
	struct prove_facts *f = &p->facts;
	uint64_t next = prove_next_size(p->good, f->refused, p->conf->most_bytes);
	char size[32];
	bool whole;
	struct err why = ERR_INIT, err = ERR_INIT;
	if (p->conf->most_bytes < PROBE_LEAST_BYTES || next < PROBE_LEAST_BYTES ||
		p->size_probes++ == MOST_SIZE_PROBES) {
		p->sizes_done = true;
		return found_limit(p, line);
	}
	if (try_size(p, next, &whole, &why, &err)) {
		p->sizes_done = true;
		snprintf(line->text, sizeof(line->text), "a message of %s could not be tried: %.300s%s%.100s",
			size_text(next, size), err.text, err.server[0] ? ": " : "", err.server);
		return PROVE_NOTE;
	}
	if (whole) {
		f->largest = p->good = next;
		snprintf(line->text, sizeof(line->text), "a message of %s arrives (%" PRIu64 " octets)",
			size_text(next, size), next);
		return PROVE_OK;
	}
	f->refused = next;
	f->largest = p->good;
	snprintf(line->text, sizeof(line->text), "a message of %s does not arrive (%" PRIu64 " octets): %.300s",
		size_text(next, size), next, why.server[0] ? why.server : why.text);
	return PROVE_OK;
}
