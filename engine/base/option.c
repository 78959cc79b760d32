/* We parse ourselves: getopt's state is global, and its messages go to stderr instead of into a struct
   err. */
#include "engine/base/option.h"

#include "engine/base/similar.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_COLUMN = 30, WIDTH = 79 };

static size_t count_specs(const struct option_spec *specs)
{
	size_t n = 0;
	while (specs[n].name)
		n++;
	return n;
}

static int usage_error(struct err *err, const char *what, const char *option)
{
	err_set(err, ERR_USAGE, "%s: %s", option, what);
	err_hint(err, "try --help");
	return -1;
}

static void record(struct options *o, size_t spec, const char *value)
{
	o->values[spec] = value;
	o->given[o->n_given++] = (struct option_given){.spec = spec, .value = value};
}

/* What may have been meant; the hint stays as it is when nothing may. */
static void suggest(const struct option_spec *specs, const char *name, struct err *err)
{
	char list[200] = "";
	for (size_t i = 0; specs[i].name; i++) {
		size_t len = strlen(list);
		if (similar_words(name, specs[i].name) && len + strlen(specs[i].name) + 8 < sizeof(list))
			snprintf(list + len, sizeof(list) - len, "%s--%s", len ? ", " : "", specs[i].name);
	}
	if (list[0])
		err_hint(err, "did you mean %s? --help lists all", list);
}

/* Index of the long option of that name or unique beginning, or -1 with *err. */
static int find_long(const struct option_spec *specs, const char *name, size_t n, struct err *err)
{
	int found = -1;
	char shown[64];
	snprintf(shown, sizeof(shown), "--%.*s", (int)(n < 60 ? n : 60), name);
	for (int i = 0; specs[i].name; i++) {
		if (strncmp(specs[i].name, name, n) != 0 || n == 0)
			continue;
		if (specs[i].name[n] == '\0')
			return i;
		if (found >= 0) {
			err_set(err, ERR_USAGE, "%s may be --%s or --%s", shown, specs[found].name, specs[i].name);
			err_hint(err, "try --help");
			found = -2;
			break;
		}
		found = i;
	}
	if (found == -1) {
		usage_error(err, "there is no such option", shown);
		suggest(specs, shown + 2, err);
	}
	return found < 0 ? -1 : found;
}

/* One "--name[=value]"; *next is taken as the value where one is needed. Returns how many of argv were
   used up, or -1. */
static int parse_long(struct options *o, const char *arg, const char *next, struct err *err)
{
	size_t n = strcspn(arg, "=");
	int i = find_long(o->specs, arg, n, err);
	if (i < 0)
		return -1;
	const struct option_spec *spec = &o->specs[i];
	const char *value = arg[n] == '=' ? arg + n + 1 : NULL;
	char shown[64];
	snprintf(shown, sizeof(shown), "--%s", spec->name);
	if (!spec->arg && value)
		return usage_error(err, "takes no value", shown);
	if (spec->arg && !value && !next)
		return usage_error(err, "needs a value", shown);
	record(o, (size_t)i, !spec->arg ? "" : value ? value : next);
	return spec->arg && !value ? 2 : 1;
}

/* One "-xyz". */
static int parse_short(struct options *o, const char *letters, const char *next, struct err *err)
{
	for (const char *p = letters; *p; p++) {
		char shown[] = {'-', *p, '\0'};
		size_t i = 0;
		while (o->specs[i].name && o->specs[i].letter != *p)
			i++;
		if (!o->specs[i].name)
			return usage_error(err, "there is no such option", isprint((unsigned char)*p) ? shown : "-?");
		if (!o->specs[i].arg) {
			record(o, i, "");
			continue;
		}
		if (!p[1] && !next)
			return usage_error(err, "needs a value", shown);
		record(o, i, p[1] ? p + 1 : next);
		return p[1] ? 1 : 2;
	}
	return 1;
}

int option_parse(struct options *out, const struct option_spec *specs, int argc, char *const *argv, struct err *err)
{
	size_t most = 1; /* each octet of argv gives at most one */
	for (int i = 1; i < argc; i++)
		most += argv[i][0] == '-' && argv[i][1] != '-' ? strlen(argv[i]) : 1;
	*out = (struct options){.specs = specs,
		.values = calloc(count_specs(specs) + 1, sizeof(*out->values)),
		.given = calloc(most, sizeof(*out->given)),
		.operands = calloc((size_t)(argc > 0 ? argc : 0) + 1, sizeof(*out->operands))};
	if (!out->values || !out->given || !out->operands)
		return err_set(err, ERR_MEMORY, "out of memory for the command line");
	bool is_over = false;
	for (int i = 1; i < argc;) {
		const char *arg = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
		int used = 1;
		if (!is_over && strcmp(arg, "--") == 0)
			is_over = true;
		else if (is_over || arg[0] != '-' || !arg[1])
			out->operands[out->n_operands++] = arg;
		else if (arg[1] == '-')
			used = parse_long(out, arg + 2, next, err);
		else
			used = parse_short(out, arg + 1, next, err);
		if (used < 0)
			return -1;
		i += used;
	}
	return 0;
}

void option_done(struct options *o)
{
	free(o->values);
	free(o->given);
	free(o->operands);
	*o = (struct options){0};
}

static size_t index_of(const struct options *o, const char *name)
{
	size_t i = 0;
	while (o->specs[i].name && strcmp(o->specs[i].name, name) != 0)
		i++;
	assert(o->specs[i].name);
	return i;
}

bool option_is_given(const struct options *o, const char *name)
{
	return o->values[index_of(o, name)] != NULL;
}

const char *option_get(const struct options *o, const char *name)
{
	return o->values[index_of(o, name)];
}

const char *option_at(const struct options *o, const char *name, size_t i)
{
	size_t spec = index_of(o, name);
	for (size_t g = 0; g < o->n_given; g++) {
		if (o->given[g].spec == spec && i-- == 0)
			return o->given[g].value;
	}
	return NULL;
}

size_t option_count(const struct options *o, const char *name)
{
	size_t spec = index_of(o, name), n = 0;
	for (size_t g = 0; g < o->n_given; g++)
		n += o->given[g].spec == spec;
	return n;
}

/* Columns that n octets of UTF-8 take, near enough for our own texts. */
static size_t columns(const char *s, size_t n)
{
	size_t wide = 0;
	for (size_t i = 0; i < n; i++)
		wide += ((unsigned char)s[i] & 0xc0) != 0x80;
	return wide;
}

/* Words of text from column at on, continued at column indent; '\n' is kept. Ends the line. */
static void print_wrapped(FILE *out, const char *text, size_t at, size_t indent)
{
	bool first = true;
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, " \n");
		size_t wide = columns(p, n);
		if (!first && at + 1 + wide > WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
			first = true;
		}
		if (!first)
			fputc(' ', out);
		fwrite(p, 1, n, out);
		at += wide + (first ? 0 : 1);
		first = false;
		p += n;
		if (*p == '\n') {
			fputc('\n', out);
			at = 0;
			if (p[1] && p[1] != '\n') {
				fprintf(out, "%*s", (int)indent, "");
				at = indent;
			}
			first = true;
			p++;
			continue;
		}
		p += strspn(p, " ");
	}
	fputc('\n', out);
}

static void print_option(FILE *out, const struct option_spec *spec)
{
	char left[128] = "      ";
	if (spec->letter)
		snprintf(left, sizeof(left), "  -%c, ", spec->letter);
	size_t len = strlen(left);
	snprintf(left + len, sizeof(left) - len, "--%s%s%s", spec->name, spec->arg ? "=" : "",
		spec->arg ? spec->arg : "");
	len = columns(left, strlen(left));
	fputs(left, out);
	if (len + 2 > TEXT_COLUMN) {
		fputc('\n', out);
		len = 0;
	}
	fprintf(out, "%*s", (int)(TEXT_COLUMN - len), "");
	print_wrapped(out, spec->help ? spec->help : "", TEXT_COLUMN, TEXT_COLUMN);
}

void option_help(FILE *out, const char *usage, const char *description, const struct option_spec *specs)
{
	for (const char *p = usage, *word = "Usage:"; p && *p; word = "  or: ") {
		size_t n = strcspn(p, "\n");
		fprintf(out, "%s %.*s\n", word, (int)n, p);
		p += n + (p[n] == '\n');
	}
	if (description && *description)
		print_wrapped(out, description, 0, 0);
	const char *group = NULL;
	for (size_t i = 0; specs && specs[i].name; i++) {
		if (!specs[i].help) /* for programs, not for people */
			continue;
		const char *now = specs[i].group ? specs[i].group : group ? group : "Options";
		if (!group || strcmp(group, now) != 0)
			fprintf(out, "\n%s:\n", now);
		group = now;
		print_option(out, &specs[i]);
	}
}

/* "12.5" as 12,500,000 millionths is exact where a double is not: *whole and *millionths, returns where
   the number ended or NULL. */
static const char *parse_decimal(const char *text, uint64_t *whole, uint32_t *millionths)
{
	const char *p = text;
	*whole = 0;
	*millionths = 0;
	if (!isdigit((unsigned char)*p))
		return NULL;
	for (; isdigit((unsigned char)*p); p++) {
		unsigned digit = (unsigned)(*p - '0');
		if (*whole > (UINT64_MAX - digit) / 10)
			return NULL;
		*whole = *whole * 10 + digit;
	}
	if (*p != '.')
		return p;
	uint32_t unit = 100000;
	for (p++; isdigit((unsigned char)*p); p++) {
		*millionths += unit * (uint32_t)(*p - '0');
		unit /= 10;
	}
	return p;
}

struct unit {
	const char *name;
	uint64_t worth;
};

/* A number and a unit of the table (which ends with worth 0), at most limit. */
static int parse_with_unit(const char *text, const struct unit *units, uint64_t limit, uint64_t *out)
{
	uint64_t whole;
	uint32_t millionths;
	const char *end = parse_decimal(text, &whole, &millionths);
	if (!end)
		return -1;
	end += strspn(end, " ");
	char unit[8] = "";
	size_t n = strlen(end);
	if (n >= sizeof(unit))
		return -1;
	for (size_t i = 0; i < n; i++)
		unit[i] = (char)tolower((unsigned char)end[i]);
	while (units->worth && strcmp(units->name, unit) != 0)
		units++;
	if (!units->worth || whole > limit / units->worth)
		return -1;
	uint64_t part = units->worth / 1000000 * millionths + units->worth % 1000000 * millionths / 1000000;
	*out = whole * units->worth;
	if (*out > limit - part)
		return -1;
	*out += part;
	return 0;
}

int option_parse_size(const char *name, const char *text, uint64_t *out, struct err *err)
{
	static const struct unit units[] = {{"", 1}, {"b", 1}, {"k", 1000}, {"kb", 1000}, {"ki", 1024}, {"kib", 1024},
		{"m", 1000000}, {"mb", 1000000}, {"mi", 1 << 20}, {"mib", 1 << 20}, {"g", 1000000000},
		{"gb", 1000000000}, {"gi", 1 << 30}, {"gib", 1 << 30}, {"t", 1000000000000}, {"tb", 1000000000000},
		{"ti", (uint64_t)1 << 40}, {"tib", (uint64_t)1 << 40}, {NULL, 0}};
	if (parse_with_unit(text, units, INT64_MAX, out) == 0)
		return 0;
	err_set(err, ERR_USAGE, "%s: \"%.40s\" is not a size", name, text);
	err_hint(err, "write it like 500k, 2MB or 1.5GiB");
	return -1;
}

int option_parse_duration_ms(const char *name, const char *text, int64_t *out, struct err *err)
{
	static const struct unit units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"sec", 1000}, {"m", 60000},
		{"min", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
	uint64_t ms;
	if (parse_with_unit(text, units, (uint64_t)INT64_MAX / 4, &ms) == 0) {
		*out = (int64_t)ms;
		return 0;
	}
	err_set(err, ERR_USAGE, "%s: \"%.40s\" is not a duration", name, text);
	err_hint(err, "write it like 300ms, 5s, 2m, 1.5h or 7d");
	return -1;
}

int option_parse_uint(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *out, struct err *err)
{
	uint32_t millionths;
	const char *end = strchr(text, '.') ? NULL : parse_decimal(text, out, &millionths);
	if (end && !*end && *out >= min && *out <= max)
		return 0;
	return err_set(err, ERR_USAGE, "%s: \"%.40s\" is not a number from %llu to %llu", name, text,
		(unsigned long long)min, (unsigned long long)max);
}
