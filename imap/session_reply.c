#include "imap/session_reply.h"

#include <ctype.h>
#include <strings.h>

#define DAY_MS ((int64_t)24 * 3600 * 1000)

/* Grades as in spec/exchange-online.md: D documentation, S public source, T told by third parties, I inferred. */

struct by_code {
	const char *code;
	enum err_kind kind;
	enum err_kind signing_in; /* the kind while signing in */
	const char *hint;
};

/* RFC 5530 unless noted. */
static const struct by_code codes[] = {
	{"AUTHENTICATIONFAILED", ERR_CREDENTIALS, ERR_CREDENTIALS,
		"the user name or the password is wrong (or the host wants an app password)"},
	{"AUTHORIZATIONFAILED", ERR_RIGHTS, ERR_RIGHTS,
		"the sign-in is right, but it may not act as this mailbox: check the administrator's rights and the "
		"mailbox's name"},
	{"EXPIRED", ERR_CREDENTIALS, ERR_CREDENTIALS, "the password has expired: set a new one at the host"},
	{"PRIVACYREQUIRED", ERR_TLS, ERR_TLS, "the server wants encryption: use --tls starttls or --tls implicit"},
	{"CONTACTADMIN", ERR_RIGHTS, ERR_RIGHTS, "the host's administrator must act: pass on the server's words"},
	{"NOPERM", ERR_RIGHTS, ERR_RIGHTS, "this user may not do that here: check the rights on this folder"},
	{"WEBALERT", ERR_CREDENTIALS, ERR_CREDENTIALS, /* Gmail (T) */
		"the host wants a sign-in by browser first: open the address in its words, or use an app password"},
	{"UNAVAILABLE", ERR_BUSY, ERR_BUSY, "a part of the server is down for the moment"},
	{"INUSE", ERR_BUSY, ERR_BUSY, "another program holds the mailbox"},
	{"SYS/TEMP", ERR_BUSY, ERR_BUSY, ""}, /* Cyrus (T) */
	{"THROTTLED", ERR_THROTTLED, ERR_THROTTLED,
		"the host limits how fast mail is read"}, /* Gmail (S: Dovecot's imapc) */
	{"LIMIT", ERR_PROTOCOL, ERR_BUSY,
		"a limit of the server was reached: fewer connections at once, or ask its administrator"},
	{"OVERQUOTA", ERR_QUOTA, ERR_QUOTA, "the mailbox is full"},
	{"TOOBIG", ERR_TOO_BIG, ERR_PROTOCOL, "the message is larger than the server takes"}, /* RFC 7889 */
	{"ALREADYEXISTS", ERR_FOLDER, ERR_PROTOCOL, ""},
	{"NONEXISTENT", ERR_FOLDER, ERR_MAILBOX, "it is not there (any more)"},
	{"TRYCREATE", ERR_FOLDER, ERR_MAILBOX, "the folder is not there"},                        /* RFC 9051 */
	{"HASCHILDREN", ERR_FOLDER, ERR_PROTOCOL, ""},                                            /* RFC 9051 */
	{"REFERRAL", ERR_FOLDER, ERR_RIGHTS, "it lives on another server, which the words name"}, /* RFC 2193 */
	{"UNKNOWN-CTE", ERR_MESSAGE, ERR_PROTOCOL, ""},                                           /* RFC 3516 */
	{"EXPUNGEISSUED", ERR_GONE, ERR_PROTOCOL, ""},
	{"CORRUPTION", ERR_PROTOCOL, ERR_BUSY,
		"the server's own data are damaged: its administrator must repair this mailbox"},
	{"SERVERBUG", ERR_PROTOCOL, ERR_BUSY, "an error inside the server: its log tells its administrator more"},
	{"CLIENTBUG", ERR_PROTOCOL, ERR_PROTOCOL, "the server calls this a mistake of ours: please report it"},
	{"CANNOT", ERR_PROTOCOL, ERR_PROTOCOL, "the server will never do that"},
	{"BADCHARSET", ERR_PROTOCOL, ERR_PROTOCOL, ""},
};

enum when { ALWAYS, SIGNING_IN, SIGNED_IN };

struct by_text {
	const char *words; /* anywhere in the text, without case */
	enum when when;
	enum err_kind kind;
	const char *hint;
};

static const char exchange_access[] = "the app may lack IMAP.AccessAsApp, its service principal (by the "
				      "enterprise application's object id) or FullAccess on this "
				      "mailbox, IMAP may be off for it, or too many sessions are open: check "
				      "with target test; it can also pass by itself";

/* These stand before the codes: a code may come with them and says less. */
static const struct by_text throttles[] = {
	/* Exchange Online (S, T): in milliseconds, up to 50 minutes, often followed by a disconnect. */
	{"Request is throttled", ALWAYS, ERR_THROTTLED, ""},
	{"Suggested Backoff Time", ALWAYS, ERR_THROTTLED, ""},
	/* Gmail (T): 2,500 MB of download a day; the account is shut for up to 24 hours. */
	{"exceeded command or bandwidth limits", ALWAYS, ERR_THROTTLED,
		"Gmail's daily limit: it opens again within 24 hours"},
	{"bandwidth limit", ALWAYS, ERR_THROTTLED, ""},
	{"rate limit", ALWAYS, ERR_THROTTLED, ""},
	{"too many requests", ALWAYS, ERR_THROTTLED, ""},
	{"too many commands", ALWAYS, ERR_THROTTLED, ""},
};

/* From the top; the first that fits counts. */
static const struct by_text texts[] = {
	/* Exchange Online, spec/exchange-online.md section 2 */
	{"User is authenticated but not connected", ALWAYS, ERR_BUSY, exchange_access}, /* S, T: never loop on it */
	{"Maximum size of appendable message", ALWAYS, ERR_TOO_BIG,
		"raise the mailbox's limit: Set-Mailbox -MaxReceiveSize 150MB"}, /* S */
	{"Command Argument Error. 11", SIGNED_IN, ERR_MESSAGE,
		"Exchange says this of a message that is too big, of a full mailbox and of lines over about 10,000 "
		"octets"}, /* T */
	{"Command Error. 12", SIGNED_IN, ERR_MESSAGE,
		"Exchange says this of a message that is too big, of a full mailbox and of lines over about 10,000 "
		"octets"},                                      /* T */
	{"Command Argument Error", SIGNED_IN, ERR_MESSAGE, ""}, /* T */
	{"Server Unavailable. 15", SIGNED_IN, ERR_BUSY,
		"if it stays so the mailbox is probably full: look at its quota"}, /* T */
	{"Server Unavailable", ALWAYS, ERR_BUSY, ""},                              /* T */
	{"Folder name is reserved", ALWAYS, ERR_FOLDER,
		"Exchange keeps this name for itself: map the folder to another"},              /* S */
	{"Mailbox already exists", SIGNED_IN, ERR_FOLDER, "Exchange takes names without case"}, /* S */
	{"Message contains invalid header", SIGNED_IN, ERR_MESSAGE,
		"Exchange refuses 8-bit or NUL octets in the header"}, /* S */
	{"AUTHENTICATE failed", SIGNING_IN, ERR_CREDENTIALS,
		"for Exchange: check the app's IMAP.AccessAsApp with consent, New-ServicePrincipal with the "
		"enterprise application's object "
		"id, and FullAccess on this mailbox"}, /* D */
	/* bans: before wrong passwords, whose words they repeat */
	{"too many failed", ALWAYS, ERR_BANNED, ""},
	{"too many login failures", ALWAYS, ERR_BANNED, ""},
	{"too many invalid", ALWAYS, ERR_BANNED, ""},
	{"too many bad auth", ALWAYS, ERR_BANNED, ""},
	{"too many login attempts", ALWAYS, ERR_BANNED, ""},
	{"too many authentication", ALWAYS, ERR_BANNED, ""},
	{"too many unsuccessful", ALWAYS, ERR_BANNED, ""},
	{"temporarily blocked", ALWAYS, ERR_BANNED, ""},
	{"temporarily banned", ALWAYS, ERR_BANNED, ""},
	{"been banned", ALWAYS, ERR_BANNED, ""},
	{"been blocked", ALWAYS, ERR_BANNED, ""},
	{"is blocked", ALWAYS, ERR_BANNED, ""},
	{"is banned", ALWAYS, ERR_BANNED, ""},
	{"blacklisted", ALWAYS, ERR_BANNED, ""},
	{"blocked by", ALWAYS, ERR_BANNED, ""},
	/* too much at once */
	{"too many simultaneous connections", ALWAYS, ERR_BUSY,
		"Gmail allows 15 connections a mailbox"}, /* Gmail (D) */
	{"too many connections", ALWAYS, ERR_BUSY,
		"fewer connections at once to this host"}, /* Courier: 4 an address */
	{"too many open connections", ALWAYS, ERR_BUSY, "fewer connections at once to this host"},
	{"too many sessions", ALWAYS, ERR_BUSY, "fewer connections at once to this host"},
	{"too many logins", ALWAYS, ERR_BUSY, "fewer connections at once to this host"},               /* Cyrus */
	{"maximum number of connections", ALWAYS, ERR_BUSY, "fewer connections at once to this host"}, /* Dovecot */
	{"maximum connection", ALWAYS, ERR_BUSY, "fewer connections at once to this host"},            /* Courier */
	{"maximum login limit", ALWAYS, ERR_BUSY, "fewer connections at once to this host"},           /* Courier */
	{"connection limit", ALWAYS, ERR_BUSY, "fewer connections at once to this host"},
	{"maintenance", ALWAYS, ERR_BUSY, ""},
	{"try again later", ALWAYS, ERR_BUSY, ""},
	{"try later", ALWAYS, ERR_BUSY, ""},
	{"temporary", ALWAYS, ERR_BUSY, ""},
	{"temporarily", ALWAYS, ERR_BUSY, ""},
	{"shutting down", ALWAYS, ERR_BUSY, ""},
	{"Internal error occurred", SIGNING_IN, ERR_BUSY,
		"an error inside the server: its log tells its administrator more"}, /* Dovecot */
	/* signing in */
	{"Application-specific password required", ALWAYS, ERR_CREDENTIALS,
		"make an app password for this account, or use XOAUTH2"}, /* Gmail (D) */
	{"app password", SIGNING_IN, ERR_CREDENTIALS, "make an app password for this account"},
	{"log in via your web browser", ALWAYS, ERR_CREDENTIALS,
		"sign in by browser once, or use an app password"},                                /* Gmail (D) */
	{"not enabled for IMAP", ALWAYS, ERR_RIGHTS, "switch IMAP on in this mailbox's settings"}, /* Gmail (D) */
	{"IMAP access is disabled", ALWAYS, ERR_RIGHTS, "switch IMAP on in this mailbox's settings"},
	{"IMAP is disabled", ALWAYS, ERR_RIGHTS, "switch IMAP on in this mailbox's settings"},
	{"enable IMAP", SIGNING_IN, ERR_RIGHTS, "switch IMAP on in this mailbox's settings"},
	{"account is disabled", ALWAYS, ERR_MAILBOX, "the host has shut this account"},
	{"account disabled", ALWAYS, ERR_MAILBOX, "the host has shut this account"},
	{"account is locked", ALWAYS, ERR_BANNED, ""},
	{"account locked", ALWAYS, ERR_BANNED, ""},
	{"suspended", SIGNING_IN, ERR_MAILBOX, "the host has suspended this account"},
	{"password expired", ALWAYS, ERR_CREDENTIALS, "set a new password at the host"},
	{"password has expired", ALWAYS, ERR_CREDENTIALS, "set a new password at the host"},
	{"Plaintext authentication disallowed", SIGNING_IN, ERR_TLS,
		"use --tls starttls or --tls implicit"}, /* Dovecot */
	{"cleartext", SIGNING_IN, ERR_TLS, "use --tls starttls or --tls implicit"},
	/* full */
	{"over quota", ALWAYS, ERR_QUOTA, "the mailbox is full"},
	{"quota exceeded", ALWAYS, ERR_QUOTA, "the mailbox is full"},
	{"exceeded your quota", ALWAYS, ERR_QUOTA, "the mailbox is full"},
	{"mailbox is full", ALWAYS, ERR_QUOTA, "the mailbox is full"},
	{"mailbox full", ALWAYS, ERR_QUOTA, "the mailbox is full"},
	{"disk quota", ALWAYS, ERR_QUOTA, "the mailbox is full"},
	{"out of storage", ALWAYS, ERR_QUOTA, "the mailbox is full"}, /* Gmail */
	/* too big */
	{"message too large", SIGNED_IN, ERR_TOO_BIG, ""},
	{"message is too large", SIGNED_IN, ERR_TOO_BIG, ""},
	{"message too big", SIGNED_IN, ERR_TOO_BIG, ""},
	{"message size exceeds", SIGNED_IN, ERR_TOO_BIG, ""},
	{"maximum message size", SIGNED_IN, ERR_TOO_BIG, ""},
	/* rights, folders */
	{"permission denied", ALWAYS, ERR_RIGHTS, "check the rights on this folder"},
	{"access denied", ALWAYS, ERR_RIGHTS, "check the rights"},
	{"not authorized", ALWAYS, ERR_RIGHTS, "check the rights"},
	{"doesn't exist", SIGNED_IN, ERR_FOLDER, ""},
	{"does not exist", SIGNED_IN, ERR_FOLDER, ""},
	{"unknown mailbox", SIGNED_IN, ERR_FOLDER, ""},
	{"nonexistent", SIGNED_IN, ERR_FOLDER, ""},
};

static const char default_ban_hint[] =
	"the host has shut out this address or account after sign-ins that failed: have it allowed there, "
	"and check the passwords before trying again";

int64_t session_reply_wait_ms(const char *words)
{
	static const char *const openings[] = {"Backoff Time:", "try again in ", "retry after ", "retry in "};
	const char *end = words + strlen(words), *p = NULL;
	int64_t value = 0;

	for (size_t i = 0; i < sizeof openings / sizeof *openings && !p; i++)
		if ((p = repair_find(words, end, openings[i])))
			p += strlen(openings[i]);
	while (p && *p == ' ')
		p++;
	if (!p || !isdigit((unsigned char)*p))
		return -1;
	for (; isdigit((unsigned char)*p) && value < DAY_MS; p++)
		value = value * 10 + (*p - '0');
	while (*p == ' ')
		p++;
	if (!strncasecmp(p, "ms", 2) || !strncasecmp(p, "millisecond", 11))
		value *= 1;
	else if (!strncasecmp(p, "min", 3))
		value *= 60000;
	else if (!strncasecmp(p, "hour", 4))
		value *= 3600000;
	else
		value *= 1000;
	return value > DAY_MS ? DAY_MS : value;
}

static const struct by_text *find_text(const struct by_text *table, size_t n, const char *all, bool signing_in)
{
	const char *end = all + strlen(all);

	for (size_t i = 0; i < n; i++)
		if ((table[i].when == ALWAYS || (table[i].when == SIGNING_IN) == signing_in) &&
			repair_find(all, end, table[i].words))
			return &table[i];
	return NULL;
}

static const struct by_code *find_code(const char *code)
{
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (!strcmp(codes[i].code, code))
			return &codes[i];
	return NULL;
}

static enum err_kind judge(const struct repair_status *said, bool signing_in, const char **hint)
{
	const struct by_text *text = find_text(throttles, sizeof throttles / sizeof *throttles, said->all, signing_in);
	const struct by_code *code = find_code(said->code);

	if (!text) {
		text = find_text(texts, sizeof texts / sizeof *texts, said->all, signing_in);
		/* A ban is often dressed as [AUTHENTICATIONFAILED]; a code that says little gives way to a text that says more. */
		enum err_kind kind = code ? signing_in ? code->signing_in : code->kind : ERR_NONE;
		if (code && !(text && (text->kind == ERR_BANNED || kind == ERR_PROTOCOL))) {
			*hint = code->hint;
			return kind;
		}
	}
	*hint = text ? text->hint : "";
	if (text)
		return text->kind;
	if (!signing_in)
		return ERR_PROTOCOL;
	*hint = "check the user name and the password; some hosts want the whole address, some an app "
		"password, and some switch IMAP off "
		"until it is allowed in the mailbox's settings";
	return ERR_CREDENTIALS;
}

/* Reading fills no mailbox: a host that speaks of a quota has enough for now, and one that speaks of a limit may. */
static enum err_kind of_reading(const struct repair_status *said, enum err_kind kind, const char **hint)
{
	if (kind == ERR_QUOTA) {
		*hint = "the host lets no more be read of this mailbox for now";
		return ERR_THROTTLED;
	}
	return kind == ERR_PROTOCOL && !strcmp(said->code, "LIMIT") ? ERR_BUSY : kind;
}

int session_reply_explain(
	const struct repair_status *said, bool signing_in, bool reads_only, const char *doing, struct err *err)
{
	const char *hint;
	enum err_kind kind = judge(said, signing_in, &hint);

	if (reads_only)
		kind = of_reading(said, kind, &hint);
	if (kind == ERR_BANNED && !hint[0])
		hint = default_ban_hint;
	err_set(err, kind, "%s", doing);
	if (said->all[0])
		err_server(err, said->all, strlen(said->all));
	if (hint[0])
		err_hint(err, "%s", hint);
	err->retry_after_ms = kind == ERR_THROTTLED || kind == ERR_BUSY ? session_reply_wait_ms(said->all) : -1;
	return -1;
}
