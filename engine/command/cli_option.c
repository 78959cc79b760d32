/* The values of options: copied, counted and measured into what they set, with the option's name in every complaint. */
#define _GNU_SOURCE
#include "engine/command/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RATE_LEAST 1000 /* octets a second: less is a unit that was forgotten */

int cli_copy(char *out, size_t size, const char *what, const char *value, struct err *err)
{
	size_t n = strlen(value);
	if (n >= size)
		return err_set(err, ERR_USAGE, "%s is longer than %zu octets", what, size - 1);
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < 32 || *p == 127)
			return err_set(err, ERR_USAGE, "%s holds a control character", what);
	memcpy(out, value, n + 1);
	return 0;
}

int cli_copy_option(struct cli *c, const char *option, char *out, size_t size, struct err *err)
{
	const char *v = option_get(&c->opt, option);
	char what[80];
	snprintf(what, sizeof what, "--%s", option);
	return v ? cli_copy(out, size, what, v, err) : 0;
}

int cli_uint_option(struct cli *c, const char *option, uint64_t min, uint64_t max, unsigned *out, struct err *err)
{
	const char *v = option_get(&c->opt, option);
	uint64_t n;
	char what[80];
	snprintf(what, sizeof what, "--%s", option);
	if (!v)
		return 0;
	if (option_parse_uint(what, v, min, max, &n, err))
		return -1;
	*out = (unsigned)n;
	return 0;
}

int cli_ms_option(struct cli *c, const char *option, unsigned *out, struct err *err)
{
	const char *v = option_get(&c->opt, option);
	char what[80];
	int64_t ms;
	if (!v)
		return 0;
	snprintf(what, sizeof what, "--%s", option);
	if (option_parse_duration_ms(what, v, &ms, err))
		return -1;
	if (ms < 1 || ms > 3600000)
		return err_set(err, ERR_USAGE, "%s is between 1ms and 1h", what);
	*out = (unsigned)ms;
	return 0;
}

int cli_size_option(struct cli *c, const char *option, uint64_t *out, struct err *err)
{
	const char *v = option_get(&c->opt, option);
	char what[80], text[64];
	if (!v)
		return 0;
	snprintf(what, sizeof what, "--%s", option);
	snprintf(text, sizeof text, "%s", v);
	size_t n = strlen(text);
	if (n > 2 && !strcmp(text + n - 2, "/s"))
		text[n - 2] = 0;
	return option_parse_size(what, text, out, err);
}

int cli_rate_option(struct cli *c, const char *option, uint64_t *out, struct err *err)
{
	uint64_t n = *out;
	if (cli_size_option(c, option, &n, err))
		return -1;
	if (option_get(&c->opt, option) && n && n < RATE_LEAST) {
		err_set(err, ERR_USAGE, "--%s: %llu octets a second is less than a mailbox can be moved with", option,
			(unsigned long long)n);
		err_hint(err, "for megabytes write %lluMB/s; 0 is no limit", (unsigned long long)n);
		return -1;
	}
	*out = n;
	return 0;
}

int cli_check_name(const char *name, struct err *err)
{
	char checked[MODEL_NAME];
	if (!name[0] || name[0] == '-' || name[0] == ' ')
		return err_set(err, ERR_USAGE, "a name cannot be empty or begin with \"-\" or a blank");
	if (strpbrk(name, "/\\:\"'`$|<>*?"))
		return err_set(err, ERR_USAGE, "the name \"%s\" holds a character that names cannot hold", name);
	return cli_copy(checked, sizeof checked, "the name", name, err);
}

int cli_store_secret(
	struct cli *c, const char *option, const char *owner, int64_t id, const char *name, struct err *err)
{
	const char *path = option_get(&c->opt, option);
	struct secret *s = NULL;
	if (!path)
		return 0;
	if (strcmp(name, "certificate") ? secret_read_file(&s, path, err) : secret_read_public(&s, path, err))
		return err_wrap(err, "--%s", option);
	int rc = secret_len(s) ? store_secret_put(c->store, owner, id, name, s, err)
			       : err_set(err, ERR_USAGE, "--%s: the file %s is empty", option, path);
	secret_free(&s);
	return rc;
}

int cli_path_option(struct cli *c, const char *option, char *out, size_t size, struct err *err)
{
	const char *v = option_get(&c->opt, option);
	if (!v)
		return 0;
	char *full = realpath(v, NULL);
	int rc = -1;
	if (!full || access(full, R_OK))
		err_set(err, ERR_USAGE, "--%s: %s cannot be read: %s", option, v, strerror(errno));
	else
		rc = cli_copy(out, size, "the path", full, err);
	free(full);
	return rc;
}
