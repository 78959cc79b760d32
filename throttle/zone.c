#include "throttle/zone.h"

#include "engine/base/clock.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZONE_FILE_MOST 262144
#define ZONE_TIMES_MOST 8192
#define ZONE_TYPES_MOST 256
#define ZONE_OFFSET_MOST (26 * 3600) /* RFC 8536 section 3.2: less than 26 hours */
#define ZONE_HEADER 44
#define DAY_S 86400
#define ZONE_REACH_S (2 * (int64_t)DAY_S)
#define ZONE_AT_MOST ((int64_t)1 << 40) /* farther than 30,000 years no calendar is kept */

struct rule { /* one half of a POSIX TZ rule */
	enum { RULE_MONTH, RULE_JULIAN, RULE_DAY } kind;
	int month, week, day; /* Mm.w.d; else day */
	int time_s;
};

struct footer {
	bool known, has_dst;
	int std_s, dst_s; /* east */
	struct rule start, end;
};

struct zone {
	size_t times, types;
	int64_t *at;   /* owned; ascending */
	uint8_t *type; /* owned; of the time after at[i] */
	int offset[ZONE_TYPES_MOST];
	struct footer footer;
};

struct reader {
	const unsigned char *p;
	size_t left;
};

static uint32_t big32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t big_signed(const unsigned char *p, size_t size)
{
	if (size == 4)
		return (int32_t)big32(p);
	return (int64_t)((uint64_t)big32(p) << 32 | big32(p + 4));
}

/* NULL: not so many are left. */
static const unsigned char *reader_take(struct reader *r, size_t n)
{
	if (r->left < n)
		return NULL;
	const unsigned char *p = r->p;
	r->p += n;
	r->left -= n;
	return p;
}

/* --- the footer: POSIX TZ, with the extensions of RFC 8536 section 3.3.1 ------------------------------------------------------ */

static bool parse_number(const char **s, int most, int *out)
{
	int v = 0, digits = 0;
	for (; isdigit((unsigned char)**s) && digits < 5; (*s)++, digits++)
		v = v * 10 + (**s - '0');
	*out = v;
	return digits > 0 && v <= most;
}

static bool parse_zone_name(const char **s)
{
	const char *from = *s;
	if (**s == '<') {
		while (**s && **s != '>')
			(*s)++;
		return *(*s)++ == '>';
	}
	while (isalpha((unsigned char)**s))
		(*s)++;
	return *s - from >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool parse_hms(const char **s, int *out)
{
	int sign = 1, h = 0, m = 0, sec = 0;
	if (**s == '+' || **s == '-')
		sign = *(*s)++ == '-' ? -1 : 1;
	if (!parse_number(s, 167, &h))
		return false;
	if (**s == ':' && (++*s, !parse_number(s, 59, &m)))
		return false;
	if (**s == ':' && (++*s, !parse_number(s, 59, &sec)))
		return false;
	*out = sign * (h * 3600 + m * 60 + sec);
	return true;
}

static bool parse_rule(const char **s, struct rule *r)
{
	if (*(*s)++ != ',')
		return false;
	if (**s == 'M') {
		r->kind = RULE_MONTH;
		++*s;
		if (!parse_number(s, 12, &r->month) || r->month < 1 || *(*s)++ != '.' ||
			!parse_number(s, 5, &r->week) || r->week < 1 || *(*s)++ != '.' || !parse_number(s, 6, &r->day))
			return false;
	} else {
		r->kind = **s == 'J' ? RULE_JULIAN : RULE_DAY;
		if (**s == 'J')
			++*s;
		if (!parse_number(s, 365, &r->day) || (r->kind == RULE_JULIAN && r->day < 1))
			return false;
	}
	r->time_s = 2 * 3600;
	return **s != '/' || (++*s, parse_hms(s, &r->time_s));
}

static bool parse_footer(const char *s, struct footer *f)
{
	int v;
	*f = (struct footer){.known = true};
	if (!parse_zone_name(&s) || !parse_hms(&s, &v) || abs(v) > ZONE_OFFSET_MOST)
		return false;
	f->std_s = -v; /* POSIX counts west */
	if (!*s)
		return true;
	if (!parse_zone_name(&s))
		return false;
	f->dst_s = f->std_s + 3600;
	if (*s && *s != ',') {
		if (!parse_hms(&s, &v) || abs(v) > ZONE_OFFSET_MOST)
			return false;
		f->dst_s = -v;
	}
	f->has_dst = true;
	return parse_rule(&s, &f->start) && parse_rule(&s, &f->end) && !*s;
}

/* The local second at which the rule's change happens in that year. */
static int64_t rule_at(const struct rule *r, int64_t year)
{
	struct clock_fields first = {.year = year, .month = 1, .day = 1};
	int64_t jan1 = clock_join(&first);
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (r->kind == RULE_DAY)
		return jan1 + (int64_t)r->day * DAY_S + r->time_s;
	if (r->kind == RULE_JULIAN) /* 29 February is never counted */
		return jan1 + (int64_t)(r->day - 1 + (leap && r->day > 59)) * DAY_S + r->time_s;
	first.month = r->month;
	int64_t begin = clock_join(&first);
	int64_t days = begin / DAY_S - (begin % DAY_S < 0);
	int weekday = (int)(((days + 4) % 7 + 7) % 7); /* 1 January 1970 was a Thursday */
	int day = (r->day - weekday + 7) % 7 + (r->week - 1) * 7;
	static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	while (day >= length[r->month - 1] + (leap && r->month == 2))
		day -= 7; /* week 5: the last one */
	return begin + (int64_t)day * DAY_S + r->time_s;
}

static int footer_offset(const struct footer *f, int64_t at)
{
	if (!f->has_dst)
		return f->std_s;
	struct clock_fields now;
	clock_split(at + f->std_s, &now);
	int64_t start = rule_at(&f->start, now.year) - f->std_s, end = rule_at(&f->end, now.year) - f->dst_s;
	bool dst = start < end ? at >= start && at < end : at >= start || at < end;
	return dst ? f->dst_s : f->std_s;
}

/* --- the file --------------------------------------------------------------------------------------------------------------- */

struct counts {
	uint32_t is_utc, is_std, leaps, times, types, chars;
	char version;
};

static bool parse_header(struct reader *r, struct counts *c)
{
	const unsigned char *h = reader_take(r, ZONE_HEADER);
	if (!h || memcmp(h, "TZif", 4) != 0)
		return false;
	*c = (struct counts){.version = (char)h[4],
		.is_utc = big32(h + 20),
		.is_std = big32(h + 24),
		.leaps = big32(h + 28),
		.times = big32(h + 32),
		.types = big32(h + 36),
		.chars = big32(h + 40)};
	return c->times <= ZONE_TIMES_MOST && c->types <= ZONE_TYPES_MOST && c->chars <= 65536 && c->leaps <= 1024 &&
	       c->is_std <= ZONE_TYPES_MOST && c->is_utc <= ZONE_TYPES_MOST;
}

static size_t block_size(const struct counts *c, size_t time_size)
{
	return c->times * (time_size + 1) + c->types * (size_t)6 + c->chars + c->leaps * (time_size + 4) + c->is_std +
	       c->is_utc;
}

/* The block was measured: what is taken is there. */
static bool parse_block(struct zone *z, const unsigned char *p, const struct counts *c, size_t time_size)
{
	if (c->types < 1 || c->leaps) /* leap seconds: a "right/" zone, whose seconds are not ours */
		return false;
	z->times = c->times;
	z->types = c->types;
	z->at = calloc(c->times + 1, sizeof *z->at);
	z->type = calloc(c->times + 1, 1);
	if (!z->at || !z->type)
		return false;
	for (size_t i = 0; i < z->times; i++) {
		z->at[i] = big_signed(p + i * time_size, time_size);
		if (i && z->at[i] <= z->at[i - 1])
			return false;
	}
	p += z->times * time_size;
	for (size_t i = 0; i < z->times; i++)
		if ((z->type[i] = p[i]) >= z->types)
			return false;
	p += z->times;
	for (size_t i = 0; i < z->types; i++) {
		int64_t offset = big_signed(p + i * 6, 4);
		if (offset > ZONE_OFFSET_MOST || offset < -ZONE_OFFSET_MOST)
			return false;
		z->offset[i] = (int)offset;
	}
	return true;
}

static bool parse_end(struct zone *z, struct reader *r)
{
	char text[256];
	if (r->left < 2 || *r->p != '\n')
		return true; /* no footer: what was last goes on */
	const unsigned char *from = r->p + 1, *end = memchr(from, '\n', r->left - 1);
	if (!end || (size_t)(end - from) >= sizeof text)
		return false;
	size_t n = (size_t)(end - from);
	memcpy(text, from, n);
	text[n] = '\0';
	return n == 0 || (strlen(text) == n && parse_footer(text, &z->footer));
}

static bool parse_file(struct zone *z, struct reader *r)
{
	struct counts c;
	if (!parse_header(r, &c))
		return false;
	const unsigned char *block = reader_take(r, block_size(&c, 4));
	if (!block)
		return false;
	if (c.version < '2')
		return parse_block(z, block, &c, 4);
	if (!parse_header(r, &c))
		return false;
	block = reader_take(r, block_size(&c, 8));
	return block && parse_block(z, block, &c, 8) && parse_end(z, r);
}

int zone_parse(struct zone **out, const void *data, size_t n, struct err *err)
{
	*out = NULL;
	struct reader r = {data, n};
	struct zone *z = calloc(1, sizeof *z);
	if (!z)
		return err_set(err, ERR_MEMORY, "no memory for a time zone");
	if (!parse_file(z, &r)) {
		zone_free(&z);
		return err_set(err, ERR_USAGE, "the time zone's file is damaged");
	}
	*out = z;
	return 0;
}

static bool zone_name_is_good(const char *name)
{
	size_t n = strlen(name);
	if (n == 0 || n > 64 || name[0] == '/' || name[0] == '.' || strstr(name, "..") || strstr(name, "/."))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("/_+-", name[i]))
			return false;
	return true;
}

int zone_load(struct zone **out, const char *name, struct err *err)
{
	char path[128];
	*out = NULL;
	if (!zone_name_is_good(name))
		return err_set(err, ERR_USAGE, "\"%.64s\" is not the name of a time zone", name);
	snprintf(path, sizeof path, "%s/%s", ZONE_FOLDER, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > ZONE_FILE_MOST) {
		if (fd >= 0)
			close(fd);
		err_set(err, ERR_USAGE, "there is no time zone \"%s\" in %s", name, ZONE_FOLDER);
		err_hint(err, "names look like Asia/Karachi or Europe/Berlin; Debian has them in the package "
			      "tzdata");
		return -1;
	}
	char *data = malloc(ZONE_FILE_MOST);
	size_t n = 0;
	ssize_t got = 1;
	while (data && n < ZONE_FILE_MOST && (got = read(fd, data + n, ZONE_FILE_MOST - n)) > 0)
		n += (size_t)got;
	close(fd);
	int rc = data && got >= 0 ? zone_parse(out, data, n, err) : err_set(err, ERR_DISK, "cannot read %s", path);
	free(data);
	return rc ? err_wrap(err, "time zone %s", name) : 0;
}

void zone_free(struct zone **z)
{
	if (!*z)
		return;
	free((*z)->at);
	free((*z)->type);
	free(*z);
	*z = NULL;
}

static int64_t clamp_at(int64_t at)
{
	return at > ZONE_AT_MOST ? ZONE_AT_MOST : at < -ZONE_AT_MOST ? -ZONE_AT_MOST : at;
}

int zone_offset(const struct zone *z, int64_t at)
{
	at = clamp_at(at);
	if (z->times && at < z->at[0])
		return z->offset[0];
	if (!z->times || at >= z->at[z->times - 1]) {
		if (z->footer.known)
			return footer_offset(&z->footer, at);
		return z->offset[z->times ? z->type[z->times - 1] : 0];
	}
	size_t low = 0, high = z->times - 1; /* at[low] <= at < at[high] */
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;
		if (z->at[mid] <= at)
			low = mid;
		else
			high = mid;
	}
	return z->offset[z->type[low]];
}

int64_t zone_to_local(const struct zone *z, int64_t at)
{
	at = clamp_at(at);
	return at + zone_offset(z, at);
}

int64_t zone_to_utc(const struct zone *z, int64_t local)
{
	local = clamp_at(local);
	int64_t low = local - ZONE_REACH_S, high = local + ZONE_REACH_S;
	int before = zone_offset(z, low), after = zone_offset(z, high);
	if (zone_offset(z, local - before) == before)
		return local - before;
	if (zone_offset(z, local - after) == after)
		return local - after;
	while (high - low > 1) { /* skipped: the first second of the new offset */
		int64_t mid = low + (high - low) / 2;
		if (zone_offset(z, mid) == before)
			low = mid;
		else
			high = mid;
	}
	return high;
}
