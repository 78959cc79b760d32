#include "upload/exosim/backend.h"

#include "upload/exosim/args.h"

#include <assert.h>
#include <strings.h>

#define ANSWER_TIMEOUT_MS 60000
#define CHUNK ((size_t)256 * 1024)

int backend_line(struct wire *w, const char **line, size_t *len, size_t *used, struct err *err)
{
	size_t seen = 0;

	for (;;) {
		const char *nl = memchr(wire_data(w) + seen, '\n', wire_have(w) - seen);
		int r;

		if (nl) {
			*line = wire_data(w);
			*used = (size_t)(nl - *line) + 1;
			*len = *used - 1 - (*used > 1 && nl[-1] == '\r');
			return 0;
		}
		seen = wire_have(w);
		if (seen == WIRE_ROOM)
			return err_set(err, ERR_PROTOCOL, "the backend sent a line without end");
		r = wire_wait(w, ANSWER_TIMEOUT_MS);
		if (r <= 0)
			return err_set(
				err, ERR_LOST, r ? "the backend closed the connection" : "the backend is silent");
	}
}

/* Reads to the answer of "x9". */
static int answer(struct wire *w, void (*each)(void *ctx, const char *line, size_t len), void *ctx, struct err *err)
{
	const char *line;
	size_t len, used;

	if (wire_flush(w) < 0)
		return err_set(err, ERR_LOST, "the backend closed the connection");
	for (;;) {
		if (backend_line(w, &line, &len, &used, err) < 0)
			return -1;
		if (len > 3 && strncmp(line, "x9 ", 3) == 0) {
			int r = 0;

			if (len < 5 || strncasecmp(line + 3, "OK", 2) != 0) {
				r = err_set(err, ERR_PROTOCOL, "the backend refused a command");
				err_server(err, line + 3, len - 3);
			}
			wire_skip(w, used);
			return r;
		}
		if (each)
			each(ctx, line, len);
		wire_skip(w, used);
	}
}

int backend_command(struct wire *w, const char *command, void (*each)(void *ctx, const char *line, size_t len),
	void *ctx, struct err *err)
{
	wire_printf(w, "x9 %s\r\n", command);
	return answer(w, each, ctx, err);
}

int backend_append(struct wire *w, const char *command, const struct spool *body, struct err *err)
{
	wire_printf(w, "x9 %s {%llu+}\r\n", command, (unsigned long long)spool_size(body));
	if (backend_put_spool(w, body, err) < 0)
		return -1;
	wire_put(w, "\r\n", 2);
	return answer(w, NULL, NULL, err);
}

int backend_put_spool(struct wire *w, const struct spool *body, struct err *err)
{
	const char *memory = spool_memory(body);
	uint64_t at = 0;
	size_t got = 0;
	char *chunk;
	int r = 0;

	if (memory) {
		wire_put(w, memory, (size_t)spool_size(body));
		return 0;
	}
	chunk = malloc(CHUNK);
	assert(chunk);
	do {
		r = spool_read(body, at, chunk, CHUNK, &got, err);
		if (r == 0)
			wire_put(w, chunk, got);
		at += got;
	} while (r == 0 && got && !wire_is_broken(w));
	free(chunk);
	return r;
}

int backend_open(struct wire **out, struct exosim *x, const char *mailbox, struct stop *stop, struct err *err)
{
	struct wire *w = NULL;
	const char *line;
	char user[600], quoted[1300], password[1300], command[2700];
	size_t len, used;

	if (wire_connect(&w, x->backend_host, x->backend_port, stop, err) < 0)
		return -1;
	if (backend_line(w, &line, &len, &used, err) < 0 || strncasecmp(line, "* OK", 4) != 0) {
		wire_free(&w);
		return err_set(err, ERR_PROTOCOL, "the backend did not greet");
	}
	wire_skip(w, used);
	snprintf(user, sizeof(user), "%s*%s", mailbox, x->backend_master);
	args_quote(quoted, user);
	args_quote(password, secret_bytes(x->backend_password));
	snprintf(command, sizeof(command), "LOGIN %s %s", quoted, password);
	secret_wipe(password, sizeof(password));
	if (backend_command(w, command, NULL, NULL, err) < 0) {
		secret_wipe(command, sizeof(command));
		wire_free(&w);
		return err_wrap(err, "sign-in at the backend as %s", mailbox);
	}
	secret_wipe(command, sizeof(command));
	*out = w;
	return 0;
}
