/* Flags and keywords on their way from a FETCH to an APPEND, and IMAP's date-time. */
#include "imap/flags.h"

#include "engine/base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	unsigned bit; /* 0: known, does not travel */
} system_flags[] = {{"\\Seen", MAIL_SEEN}, {"\\Answered", MAIL_ANSWERED}, {"\\Flagged", MAIL_FLAGGED},
	{"\\Draft", MAIL_DRAFT}, {"\\Deleted", MAIL_DELETED}};

/* Keywords that programs leave behind. In Exchange each would show as a category of that name on the
   message. Compared without case. Sources: the IANA registry of IMAP keywords (RFC 5788) and what the
   programs named here write. */
static const char *const program_keywords[] = {
	/* IANA: said about the message by a program ($Important may be a person's word, so it travels) */
	"$MDNSent", "$Forwarded", "$Submitted", "$SubmitPending", "$Junk", "$NotJunk", "$Phishing", "$HasAttachment",
	"$HasNoAttachment", "$AutoSent", "$CanUnsubscribe", "$Followed", "$Memo", "$HasMemo", "$IsMailingList",
	"$IsNotification", "$IsTrusted", "$MaskedEmail", "$Muted", "$New", "$Notify", "$Unsubscribed",
	"$ImportantSuggested", "Junk", "NonJunk", "NotJunk", "Forwarded", "MDNSent",
	/* Apple Mail; the bits are its flag's colour */
	"JunkRecorded", "$NotJunkRecorded", "Redirected", "$MailFlagBit0", "$MailFlagBit1", "$MailFlagBit2",
	/* Thunderbird (its $label1 to $label5 are people's labels and travel) */
	"$ATTACHMENT", "Receipt-Handled",
	/* KMail, Evolution, Kolab, Horde */
	"$Sent", "$Queued", "$Replied", "$Ignored", "$Watched", "$has_cal", "$SIGNED", "$ENCRYPTED", "$INVITATION",
	"Evolution-Junk", "$Evolution-Junk",
	/* FastMail */
	"$X-ME-Annot-1", "$X-ME-Annot-2", "$IsSched", "$FILTERED",
	/* junk filters */
	"$Spam", "Spam", "NotSpam", "$Virus", "DSPAM", "X-Spam",
	/* servers: Zimbra, Yahoo and AOL, Oracle */
	"$hasatt", "$purchases", "$social", "$XAOL-READ", "$XAOL-GOOD", "$XAOL-BILLPAY-MAIL", "$XAOL-CERTIFIED-MAIL",
	"$XAOL-OFFICIAL-MAIL", "XAOL-READ", "XAOL-GOOD", "$CNS-Message"};

/* RFC 9051: an atom has no "(" ")" "{" SP CTL "%" "*" DQUOTE "\" and no octet above 127; "]" is allowed
   there, but ends a list of flags in an answer's code, so it does not travel. */
static bool is_atom(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c <= ' ' || c >= 0x7f || strchr("(){%*\"\\]", c))
			return false;
	}
	return n > 0;
}

static bool is_program_keyword(const char *s, size_t n)
{
	for (size_t i = 0; i < sizeof(program_keywords) / sizeof(program_keywords[0]); i++) {
		if (strlen(program_keywords[i]) == n && strncasecmp(program_keywords[i], s, n) == 0)
			return true;
	}
	return n == 6 && strncasecmp(s, "Recent", n) == 0;
}

/* " word" or "(word" to out; false when it does not fit with the closing parenthesis. */
static bool add_word(char *out, size_t size, size_t *len, const char *word, size_t n)
{
	if (size - *len < n + 3)
		return false;
	out[*len] = *len == 0 ? '(' : ' ';
	(*len)++;
	memcpy(out + *len, word, n);
	*len += n;
	return true;
}

/* Was this keyword written already? IMAP keywords have no case. */
static bool is_repeated(const char *first, const char *word, size_t n)
{
	for (const char *p = first; p < word;) {
		size_t len = strcspn(p, " ");
		if (len == n && strncasecmp(p, word, n) == 0)
			return true;
		p += len + strspn(p + len, " ");
	}
	return false;
}

int flags_format(unsigned flags, const char *keywords, enum flags_policy policy, char *out, size_t size,
	unsigned *dropped, struct err *err)
{
	size_t len = 0;
	bool fits = size >= 3;
	unsigned odd = 0;
	for (size_t i = 0; fits && i < sizeof(system_flags) / sizeof(system_flags[0]); i++) {
		if ((flags & system_flags[i].bit) && system_flags[i].bit != MAIL_DELETED)
			fits = add_word(out, size, &len, system_flags[i].name, strlen(system_flags[i].name));
	}
	size_t n;
	for (const char *p = keywords ? keywords : ""; fits && *p; p += n) {
		p += strspn(p, " ");
		n = strcspn(p, " ");
		if (n == 0)
			break;
		if (!is_atom(p, n))
			odd++;
		else if (!(policy == FLAGS_EXCHANGE && is_program_keyword(p, n)) && !is_repeated(keywords, p, n))
			fits = add_word(out, size, &len, p, n);
	}
	if (dropped)
		*dropped = odd;
	if (!fits)
		return err_set(err, ERR_MEMORY, "the message's keywords do not fit in %zu octets", size);
	if (len == 0)
		out[len++] = '(';
	out[len++] = ')';
	out[len] = '\0';
	return 0;
}

const char *flags_parse_one(const char *text, unsigned *flags)
{
	for (size_t i = 0; i < sizeof(system_flags) / sizeof(system_flags[0]); i++) {
		if (strcasecmp(text, system_flags[i].name) == 0) {
			*flags |= system_flags[i].bit;
			return NULL;
		}
	}
	if (text[0] == '\\' || text[0] == '\0' || strcasecmp(text, "Recent") == 0)
		return NULL; /* \Recent, \*, and what a server invents: it cannot be set elsewhere */
	return text;
}

static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* The character and n digits; returns their end. */
static char *put_number(char *p, char before, unsigned v, unsigned n)
{
	*p = before;
	for (char *digit = p + n; digit > p; digit--, v /= 10)
		*digit = (char)('0' + v % 10);
	return p + 1 + n;
}

/* Not by printf: one for each message. */
void flags_format_date(const struct mail_date *d, char *out, size_t size)
{
	if (size == 0)
		return;
	out[0] = '\0';
	const int64_t limit = (int64_t)400 * 366 * 86400 * 100;
	if (!d->known || d->at > limit || d->at < -limit)
		return;
	int zone = d->zone_min > -24 * 60 && d->zone_min < 24 * 60 ? d->zone_min : 0;
	struct clock_fields f;
	clock_split(d->at + (int64_t)zone * 60, &f);
	if (f.year < 1 || f.year > 9999)
		return;
	unsigned away = (unsigned)(zone < 0 ? -zone : zone);
	char text[32];
	char *p = put_number(text, '"', (unsigned)f.day, 2);
	if (text[1] == '0')
		text[1] = ' ';
	*p++ = '-';
	memcpy(p, months[f.month - 1], 3);
	p = put_number(p + 3, '-', (unsigned)f.year, 4);
	p = put_number(p, ' ', (unsigned)f.hour, 2);
	p = put_number(p, ':', (unsigned)f.minute, 2);
	p = put_number(p, ':', (unsigned)f.second, 2);
	*p++ = ' ';
	p = put_number(p, zone < 0 ? '-' : '+', away / 60 * 100 + away % 60, 4);
	*p++ = '"';
	size_t n = (size_t)(p - text);
	if (n >= size)
		n = size - 1;
	memcpy(out, text, n);
	out[n] = '\0';
}

/* From least to most digits at *p as a number, or -1. */
static int digits(const char **p, int least, int most)
{
	int value = 0, n = 0;
	for (; n < most && isdigit((unsigned char)**p); n++, (*p)++)
		value = value * 10 + (**p - '0');
	return n < least ? -1 : value;
}

static bool take(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static int parse_month(const char **p)
{
	for (int m = 0; m < 12; m++) {
		if (strncasecmp(*p, months[m], 3) == 0) {
			*p += 3;
			return m + 1;
		}
	}
	return -1;
}

static int parse_day(const char **p, struct clock_fields *f)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	f->day = digits(p, 1, 2);
	if (f->day < 1 || !take(p, '-'))
		return -1;
	f->month = parse_month(p);
	if (f->month < 0 || !take(p, '-'))
		return -1;
	const char *from = *p;
	f->year = digits(p, 2, 4);
	if (*p - from == 3)
		return -1;
	if (*p - from == 2) /* old servers; as RFC 5322 section 4.3 reads them */
		f->year += f->year < 50 ? 2000 : 1900;
	bool leap = (f->year % 4 == 0 && f->year % 100 != 0) || f->year % 400 == 0;
	return f->year >= 1 && f->day <= lengths[f->month - 1] + (f->month == 2 && leap) ? 0 : -1;
}

static int parse_time(const char **p, struct clock_fields *f)
{
	f->hour = digits(p, 1, 2);
	if (f->hour < 0 || f->hour > 23 || !take(p, ':'))
		return -1;
	f->minute = digits(p, 2, 2);
	if (f->minute < 0 || f->minute > 59 || !take(p, ':'))
		return -1;
	f->second = digits(p, 2, 2);
	return f->second < 0 || f->second > 60 ? -1 : 0;
}

/* "+0200", "GMT", "UTC", "Z" or nothing. */
static int parse_zone(const char **p, int *zone_min)
{
	static const char *const zero[] = {"GMT", "UTC", "UT", "Z"};
	*zone_min = 0;
	for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]); i++) {
		size_t n = strlen(zero[i]);
		if (strncasecmp(*p, zero[i], n) == 0 && !isalnum((unsigned char)(*p)[n])) {
			*p += n;
			return 0;
		}
	}
	int sign = **p == '-' ? -1 : 1;
	if (!take(p, '+') && !take(p, '-'))
		return 0;
	int hours = digits(p, 2, 2);
	take(p, ':');
	int minutes = digits(p, 2, 2);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return -1;
	*zone_min = sign * (hours * 60 + minutes);
	return 0;
}

int flags_parse_date(const char *text, struct mail_date *out)
{
	struct clock_fields f = {0};
	int zone_min;
	const char *p = text;
	*out = (struct mail_date){0};
	p += strspn(p, " \t\"");
	if (parse_day(&p, &f) < 0 || !take(&p, ' '))
		return -1;
	p += strspn(p, " ");
	if (parse_time(&p, &f) < 0)
		return -1;
	p += strspn(p, " ");
	if (parse_zone(&p, &zone_min) < 0)
		return -1;
	p += strspn(p, " \t\"");
	if (*p)
		return -1;
	int64_t local = clock_join(&f);
	if (local >= CLOCK_AFTER_9999) /* by a leap second */
		return -1;
	out->at = local - (int64_t)zone_min * 60;
	out->zone_min = zone_min;
	out->known = true;
	return 0;
}
