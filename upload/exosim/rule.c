#include "upload/exosim/rule.h"

#include <errno.h>

static const struct switch_row rows[SWITCHES_END] = {
#define X(k, n, kind_, unkind_, grade_, text_) \
	[SW_##k] = {.name = n, .grade = grade_, .text = text_, .kind = kind_, .unkind = unkind_},
	SWITCHES(X)
#undef X
};

const struct switch_row *rule_row(enum rule_switch sw)
{
	return &rows[sw];
}

void profile_init(struct profile *p, bool unkind)
{
	for (int i = 0; i < SWITCHES_END; i++)
		atomic_init(&p->value[i], unkind ? rows[i].unkind : rows[i].kind);
}

int profile_set(struct profile *p, const char *name, int64_t value, struct err *err)
{
	if (value < 0)
		return err_set(err, ERR_USAGE, "switch %s: %lld is negative", name, (long long)value);
	for (int i = 0; i < SWITCHES_END; i++)
		if (strcmp(rows[i].name, name) == 0) {
			atomic_store(&p->value[i], value);
			return 0;
		}
	return err_set(err, ERR_USAGE, "there is no switch '%s'", name);
}

int profile_set_text(struct profile *p, const char *text, struct err *err)
{
	const char *eq = strchr(text, '=');
	char name[64], *end;
	long long value;

	if (!eq || (size_t)(eq - text) >= sizeof(name))
		return err_set(err, ERR_USAGE, "'%s' is not NAME=VALUE", text);
	memcpy(name, text, (size_t)(eq - text));
	name[eq - text] = '\0';
	errno = 0;
	value = strtoll(eq + 1, &end, 10);
	if (errno || end == eq + 1 || *end)
		return err_set(err, ERR_USAGE, "'%s' is not a number", eq + 1);
	return profile_set(p, name, value, err);
}

static const struct token_error_row token_errors[TOKEN_ERRORS_END] = {
#define X(k, code_, status_, error_, text_, grade_) \
	[TE_##k] = {.code = code_, .status = status_, .error = error_, .text = text_, .grade = grade_},
	TOKEN_ERRORS(X)
#undef X
};

const struct token_error_row *rule_token_error(enum token_error e)
{
	return &token_errors[e];
}

/* S: libremail issue 105 lists what outlook.office365.com shows over IMAP. German names: T. */
static const struct known_folder known[] = {
	{"\\Drafts", "Drafts", "Entwürfe", "drafts", FOLDER_MAIL},
	{"\\Sent", "Sent Items", "Gesendete Elemente", "sentitems", FOLDER_MAIL},
	{"\\Trash", "Deleted Items", "Gelöschte Elemente", "deleteditems", FOLDER_MAIL},
	{"\\Junk", "Junk Email", "Junk-E-Mail", "junkemail", FOLDER_MAIL},
	{"\\Archive", "Archive", "Archiv", "archive", FOLDER_MAIL},
	{"", "Outbox", "Postausgang", "outbox", FOLDER_MAIL},
	{"", "Conversation History", "Verlauf der Unterhaltung", "conversationhistory", FOLDER_MAIL},
	{"", "Calendar", "Kalender", "", FOLDER_OTHER},
	{"", "Contacts", "Kontakte", "", FOLDER_OTHER},
	{"", "Journal", "Journal", "", FOLDER_OTHER},
	{"", "Notes", "Notizen", "", FOLDER_OTHER},
	{"", "Tasks", "Aufgaben", "", FOLDER_OTHER},
};

const struct known_folder *rule_known_folder(size_t n)
{
	return n < sizeof(known) / sizeof(known[0]) ? &known[n] : NULL;
}
