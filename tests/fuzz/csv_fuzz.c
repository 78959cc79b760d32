/* The CSV of migration users. First octet: whether passwords are needed. What is accepted must hold no control character, no overlong value, no
   duplicate; and, written again by csv_add_field, must read back the same. */
#include "engine/command/csv.h"

#include <stdint.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COMPARED 200 /* rows */

static void check_text(const char *s, size_t room)
{
	if (!memchr(s, '\0', room))
		abort();
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			abort();
	}
}

static void check_users(const struct csv_users *u, bool need_password)
{
	if (u->n == 0 || u->n > 50000)
		abort();
	for (size_t i = 0; i < u->n; i++) {
		const struct user *x = &u->users[i];
		check_text(x->address, sizeof(x->address));
		check_text(x->source_user, sizeof(x->source_user));
		check_text(x->user_root, sizeof(x->user_root));
		if (!x->source_user[0] || !strchr(x->address, '@') || x->row != i + 1 ||
			(need_password && !u->passwords[i]))
			abort();
		if (u->passwords[i])
			check_text(secret_bytes(u->passwords[i]), secret_len(u->passwords[i]) + 1);
		for (size_t k = 0; k < i && k < COMPARED; k++) {
			if (strcasecmp(x->address, u->users[k].address) == 0)
				abort();
		}
	}
}

/* csv_add_field writes an apostrophe before these, which does not read back. */
static bool is_guarded(const char *s)
{
	return s[0] && strchr("=+-@", s[0]);
}

static void write_and_read(const struct csv_users *u)
{
	struct err err = ERR_INIT;
	struct csv_users again;
	struct buf b;
	buf_init(&b, (size_t)10 * 1024 * 1024);
	if (buf_add_str(&b, "UserName,EmailAddress,Password,UserRoot\n", &err) < 0)
		abort();
	for (size_t i = 0; i < u->n && i < COMPARED; i++) {
		const struct user *x = &u->users[i];
		const char *password = u->passwords[i] ? secret_bytes(u->passwords[i]) : "";
		if (is_guarded(x->source_user) || is_guarded(x->address) || is_guarded(password) ||
			is_guarded(x->user_root))
			goto out;
		if (csv_add_field(&b, x->source_user, true, &err) < 0 ||
			csv_add_field(&b, x->address, false, &err) < 0 ||
			csv_add_field(&b, password, false, &err) < 0 ||
			csv_add_field(&b, x->user_root, false, &err) < 0 || buf_add_char(&b, '\n', &err) < 0)
			abort();
	}
	if (csv_parse(b.data, b.len, false, &again, &err) < 0)
		abort();
	for (size_t i = 0; i < again.n; i++) {
		const struct user *x = &u->users[i], *y = &again.users[i];
		if (strcmp(x->source_user, y->source_user) != 0 || strcmp(x->address, y->address) != 0 ||
			strcmp(x->user_root, y->user_root) != 0 || !u->passwords[i] != !again.passwords[i] ||
			(u->passwords[i] && !secret_equal(u->passwords[i], again.passwords[i])))
			abort();
	}
	csv_done(&again);
out:
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct csv_users u;
	struct err err = ERR_INIT;
	if (size == 0)
		return 0;
	bool need_password = data[0] & 1;
	if (csv_parse((const char *)data + 1, size - 1, need_password, &u, &err) < 0) {
		if (err.kind != ERR_USAGE || !err.text[0])
			abort();
		return 0;
	}
	check_users(&u, need_password);
	write_and_read(&u);
	csv_done(&u);
	return 0;
}
