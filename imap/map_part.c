/* Each rule works on what the one before left: blanks at the ends, characters, emptiness, reserved words,
   length. */
#include "imap/map_part.h"

#include "engine/base/buf.h"
#include "engine/base/utf8.h"
#include "imap/fold.h"
#include "imap/map_names.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_space(uint32_t c)
{
	return c == ' ' || (c >= 9 && c <= 13) || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
	       c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* One character at p, U+FFFD and one octet where there is none. */
static size_t next_character(const char *p, size_t n, uint32_t *c)
{
	size_t octets = utf8_decode(p, n, c);
	if (octets > 0)
		return octets;
	*c = 0xfffd;
	return 1;
}

/* Where the name starts and ends without blanks. */
static void trim(const char *part, const char **from, size_t *n)
{
	size_t len = strlen(part), octets, end = 0;
	uint32_t c;
	*from = NULL;
	for (size_t i = 0; i < len; i += octets) {
		octets = next_character(part + i, len - i, &c);
		if (is_space(c))
			continue;
		if (!*from)
			*from = part + i;
		end = i + octets;
	}
	if (!*from)
		*from = part;
	*n = end > 0 ? (size_t)(part + end - *from) : 0;
}

static int copy_characters(
	const char *from, size_t n, const struct map_rules *rules, struct buf *out, unsigned *changes, struct err *err)
{
	size_t octets;
	for (size_t i = 0; i < n; i += octets) {
		uint32_t c;
		octets = next_character(from + i, n - i, &c);
		bool is_invalid = c == 0xfffd && octets == 1;
		bool is_control = c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
		/* U+F02F is how Macs keep a "/" in names, and what exosim's IMAP shows for one */
		bool is_separator = c == '/' || (rules->exchange && c == 0xf02f) ||
				    (!rules->exchange && rules->separator && c == (unsigned char)rules->separator);
		if (is_invalid || is_control)
			*changes |= MAP_CONTROL;
		else if (is_separator)
			*changes |= MAP_SLASH;
		bool is_replaced = is_invalid || is_control || is_separator;
		if (buf_add(out, is_replaced ? "_" : from + i, is_replaced ? 1 : octets, err) < 0)
			return -1;
	}
	return 0;
}

static bool is_reserved(const char *name, const struct map_rules *rules, bool is_top)
{
	if (strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0) /* a host that keeps folders as directories refuses them */
		return true;
	if (!rules->exchange)
		return false;
	if (is_top && map_names_is_reserved(name))
		return true;
	char *key = fold_name(name); /* "Folder name is reserved": at which depth is not known, so at any */
	bool is_files = key && strcmp(key, "files") == 0;
	free(key);
	return is_files;
}

/* Octets of the first characters that take at most room octets there: Exchange counts UTF-8; a host that keeps folders as
   files has modified UTF-7 in their names, where 3 UTF-16 units are 8 octets, and a run of them has a frame of 2 and its last bits. */
static size_t octets_of(const char *name, size_t n, const struct map_rules *rules, size_t room)
{
	size_t i = 0, octets, thirds = 3 * room;
	bool in_run = false;
	uint32_t c;
	for (; i < n; i += octets) {
		octets = next_character(name + i, n - i, &c);
		size_t cost = c == '&' ? 6 : 3;
		if (rules->exchange)
			cost = 3 * octets;
		else if (c >= 0x80)
			cost = (c >= 0x10000 ? 16 : 8) + (in_run ? 0 : 9);
		in_run = c >= 0x80;
		if (cost > thirds)
			break;
		thirds -= cost;
	}
	return i;
}

/* Over-long names keep their beginning and get "~" and a hash: predictable, and different for different
   names. */
static int shorten(struct buf *name, const char *raw, const struct map_rules *rules, unsigned *changes, struct err *err)
{
	if (octets_of(name->data, name->len, rules, MAP_PART_LONGEST) == name->len)
		return 0;
	unsigned char sha[32] = {0};
	if (EVP_Digest(raw, strlen(raw), sha, NULL, EVP_sha256(), NULL) != 1)
		return err_set(err, ERR_INTERNAL, "SHA-256 failed");
	name->len = octets_of(name->data, name->len, rules, MAP_PART_LONGEST - 9);
	*changes |= MAP_LENGTH;
	return buf_printf(name, err, "~%02x%02x%02x%02x", sha[0], sha[1], sha[2], sha[3]);
}

/* Nothing, or nothing that can be seen. */
static bool is_empty(const struct buf *name)
{
	uint32_t c = 0;
	for (size_t i = 0; i < name->len && c == 0;)
		i += fold_next(name->data + i, name->len - i, &c);
	return c == 0;
}

int map_part_fix(const char *part, const char *raw, const struct map_rules *rules, bool is_top, char **out,
	unsigned *changes, struct err *err)
{
	const char *from;
	size_t n;
	struct buf name;
	int rc = -1;
	*out = NULL;
	buf_init(&name, 4 * strlen(part) + 64);
	trim(part, &from, &n);
	if (n < strlen(part))
		*changes |= MAP_TRIM;
	if (copy_characters(from, n, rules, &name, changes, err) < 0)
		goto out;
	if (is_empty(&name)) {
		if (*changes == 0)
			*changes |= name.len > 0 ? MAP_CONTROL : MAP_TRIM;
		buf_clear(&name);
		if (buf_add_char(&name, '_', err) < 0)
			goto out;
	}
	if (is_reserved(buf_str(&name), rules, is_top)) {
		*changes |= MAP_RESERVED;
		if (buf_add_char(&name, '_', err) < 0)
			goto out;
	}
	if (shorten(&name, raw, rules, changes, err) < 0)
		goto out;
	*out = buf_take(&name);
	rc = *out ? 0 : err_set(err, ERR_MEMORY, "out of memory for a folder's name");
out:
	buf_done(&name);
	return rc;
}

int map_part_number(const char *name, unsigned number, const struct map_rules *rules, char **out, struct err *err)
{
	char suffix[24];
	size_t n = (size_t)snprintf(suffix, sizeof(suffix), " (%u)", number);
	size_t keep = octets_of(name, strlen(name), rules, MAP_PART_LONGEST - n);
	*out = malloc(keep + n + 1);
	if (!*out)
		return err_set(err, ERR_MEMORY, "out of memory for a folder's name");
	memcpy(*out, name, keep);
	memcpy(*out + keep, suffix, n + 1);
	return 0;
}
