#include "engine/command/inventory_check.h"

#include "engine/base/buf.h"
#include "engine/command/powershell.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MARGIN 1.1             /* Exchange keeps more of a message than its octets */
#define TIGHT 0.8              /* of the room: it should be known */
#define RECOVERABLE_TIGHT 0.85 /* of Recoverable Items: with a hold nothing leaves it by itself */

static double gb(uint64_t n)
{
	return (double)n / 1e9;
}

/* The address as PowerShell may read it: it comes out of a file, and must stay data when somebody pastes the line. */
static const char *quote(const char *text, char *out, size_t size)
{
	struct buf b;
	struct err unfit = ERR_INIT;
	buf_init(&b, size);
	bool fits = powershell_add_string(&b, "the address", text, &unfit) == 0 && b.len < size;
	snprintf(out, size, "%s", fits ? buf_str(&b) : "MAILBOX");
	buf_done(&b);
	return out;
}

static void add(struct assessment *a, enum finding_weight w, const char *kind, const char *text, const char *remedy,
	const char *who)
{
	char line[512], name[MODEL_TEXT + 8], full[32];
	const char *at = strchr(remedy, '@'); /* stands for the mailbox */
	snprintf(full, sizeof full, INVENTORY_KIND "%s", kind);
	if (at)
		snprintf(line, sizeof line, "%.*s%s%s", (int)(at - remedy), remedy, quote(who, name, sizeof name),
			at + 1);
	else
		snprintf(line, sizeof line, "%s", remedy);
	assessment_add(a, w, full, line, "%s", text);
}

static bool is_known(uint64_t size)
{
	return size != INVENTORY_UNKNOWN && size != INVENTORY_UNLIMITED;
}

static void check_type(const struct inventory_row *r, const char *who, struct assessment *a)
{
	static const char *const usual[] = {"", "UserMailbox", "SharedMailbox", "LinkedMailbox"},
				 *const odd[] = {"RoomMailbox", "EquipmentMailbox", "SchedulingMailbox", "TeamMailbox"};
	char text[MODEL_ERROR];
	for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
		if (!strcasecmp(r->type, usual[i]))
			return;
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		if (strcasecmp(r->type, odd[i]) != 0)
			continue;
		snprintf(text, sizeof text, "the destination is a %.60s", r->type);
		add(a, FINDING_NOTE, "type", text, "Set-Mailbox @ -Type Shared, if a person's mail goes there", who);
		return;
	}
	snprintf(text, sizeof text, "the destination is a %.60s, which is no mailbox that mail can be moved into",
		r->type);
	add(a, FINDING_PROBLEM, "type", text,
		"give the person a mailbox (a licence), or correct the address in the CSV", who);
}

static void check_room(const struct inventory_row *r, const char *who, struct assessment *a)
{
	char text[MODEL_ERROR];
	uint64_t used = is_known(r->used) ? r->used : 0;
	if (!is_known(r->quota) || a->error_kind != ERR_NONE || !a->at)
		return;
	double room = r->quota > used ? (double)(r->quota - used) : 0, need = (double)a->bytes * MARGIN;
	snprintf(text, sizeof text,
		"%.2f GB of mail (with a margin of a tenth) go into %.2f GB of room: quota %.2f GB, used %.2f GB%s",
		need / 1e9, room / 1e9, gb(r->quota), gb(used), is_known(r->used) ? "" : " as far as known");
	if (need > room)
		add(a, FINDING_PROBLEM, "room", text,
			"Set-Mailbox @ -ProhibitSendReceiveQuota 100GB -ProhibitSendQuota 99GB -IssueWarningQuota 98GB "
			"(as far as its "
			"licence goes), or leave old folders out: batch set --exclude",
			who);
	else if (need > room * TIGHT)
		add(a, FINDING_NOTE, "room", text, "", who);
}

static void check_size(const struct inventory_row *r, const struct target_row *t, const char *who, struct assessment *a)
{
	char text[MODEL_ERROR];
	if (!is_known(r->max_receive) || a->error_kind != ERR_NONE || a->largest <= r->max_receive)
		return;
	if (t->max_message_bytes && t->max_message_bytes <= r->max_receive && a->too_big)
		return; /* told already, by the target's own limit */
	snprintf(text, sizeof text, "its largest message has %.1f MB, and the destination takes %.1f MB",
		(double)a->largest / 1e6, (double)r->max_receive / 1e6);
	add(a, FINDING_LEFT_OUT, "message-size", text, "Set-Mailbox @ -MaxReceiveSize 150MB -MaxSendSize 150MB", who);
}

static void check_holds(const struct inventory_row *r, const char *who, struct assessment *a)
{
	char text[MODEL_ERROR];
	bool kept = r->litigation_hold == TRUTH_YES;
	if (kept && is_known(r->recoverable_quota) && is_known(r->recoverable_used) &&
		(double)r->recoverable_used > (double)r->recoverable_quota * RECOVERABLE_TIGHT) {
		snprintf(text, sizeof text,
			"it is on hold and its Recoverable Items are nearly full: %.1f of %.1f GB; when they are full "
			"nothing can be "
			"changed there any more",
			gb(r->recoverable_used), gb(r->recoverable_quota));
		add(a, FINDING_PROBLEM, "recoverable-items", text,
			"Enable-Mailbox @ -Archive -AutoExpandingArchive, so that they have more room", who);
	} else if (kept) {
		add(a, FINDING_NOTE, "hold",
			"it is on litigation hold: what is deleted there, also by hand, goes on using room", "", who);
	}
	if (r->retention_hold == TRUTH_NO)
		add(a, FINDING_NOTE, "retention",
			"its retention policy works during the migration, and may archive or delete old mail as it "
			"arrives",
			"Set-Mailbox @ -RetentionHoldEnabled $true, and $false afterwards", who);
}

void inventory_check(const struct inventory *i, const struct user *u, const struct target_row *t, struct assessment *a)
{
	bool alias = false;
	char text[MODEL_ERROR];
	const struct inventory_row *r = inventory_find(i, u->address, &alias);
	if (!r) {
		snprintf(text, sizeof text, "there is no mailbox %s in the inventory of the destination", u->address);
		add(a, FINDING_PROBLEM, "missing", text,
			"make it (New-Mailbox, or a licence), or correct the address in the CSV", u->address);
		return;
	}
	const char *who = r->address[0] ? r->address : r->principal;
	if (alias) {
		snprintf(text, sizeof text, "%s is another address of the mailbox %s", u->address, who);
		add(a, FINDING_NOTE, "alias", text, "", who);
	}
	check_type(r, who, a);
	bool shared = !strcasecmp(r->type, "SharedMailbox");
	if (r->licensed == TRUTH_NO && !shared)
		add(a, FINDING_PROBLEM, "licence", "it has no licence: it will be disabled, and deleted after 30 days",
			"Set-MgUserLicense -UserId @ -AddLicenses @{SkuId = '...'} -RemoveLicenses @()", who);
	check_room(r, who, a);
	if (r->imap_enabled == TRUTH_NO && (t->kind != TARGET_EXCHANGE || strstr(t->routes, "imap") || !t->routes[0]))
		add(a, FINDING_PROBLEM, "imap", "IMAP is disabled for it, and the target's route is imap",
			"Set-CASMailbox @ -ImapEnabled $true", who);
	check_size(r, t, who, a);
	check_holds(r, who, a);
}

/* --- one mailbox twice --- */

struct place {
	const struct inventory_row *row;
	size_t user;
};

static int by_row(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	if (x->row != y->row)
		return (uintptr_t)x->row < (uintptr_t)y->row ? -1 : 1;
	return x->user < y->user ? -1 : x->user > y->user;
}

int inventory_same(const struct inventory *i, const struct user *users, size_t n, size_t *other, struct err *err)
{
	struct place *v = calloc(n ? n : 1, sizeof *v);
	size_t k = 0;
	if (!v)
		return err_set(err, ERR_MEMORY, "no memory for the inventory");
	for (size_t u = 0; u < n; u++) {
		bool alias;
		other[u] = n;
		v[k].row = inventory_find(i, users[u].address, &alias);
		v[k].user = u;
		k += v[k].row != NULL;
	}
	qsort(v, k, sizeof *v, by_row);
	for (size_t at = 1; at < k; at++) {
		if (v[at].row != v[at - 1].row)
			continue;
		other[v[at].user] = v[at - 1].user;
		if (other[v[at - 1].user] == n)
			other[v[at - 1].user] = v[at].user;
	}
	free(v);
	return 0;
}
