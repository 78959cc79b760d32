#include "upload/exosim/login.h"

#include "engine/base/clock.h"

#include <assert.h>
#include <strings.h>

#define TOKEN_PATH "/oauth2/v2.0/token"

static void not_found(struct http_reply *out)
{
	out->status = 404;
	out->body = strdup("{\"error\":{\"code\":\"NotFound\",\"message\":\"Resource not found.\"}}");
}

/* "/{tenant}/oauth2/v2.0/token" */
static bool split_path(const char *path, char *tenant, size_t size)
{
	const char *slash = *path == '/' ? strchr(path + 1, '/') : NULL;

	if (!slash || strcmp(slash, TOKEN_PATH) != 0 || (size_t)(slash - path) > size || slash == path + 1)
		return false;
	memcpy(tenant, path + 1, (size_t)(slash - path - 1));
	tenant[slash - path - 1] = '\0';
	return true;
}

static bool is_form(const char *type)
{
	static const char form[] = "application/x-www-form-urlencoded";

	return type && strncasecmp(type, form, sizeof(form) - 1) == 0 &&
	       (type[sizeof(form) - 1] == '\0' || strchr("; ", type[sizeof(form) - 1]));
}

void login_handle(struct exosim *x, const struct http_request *in, struct http_reply *out)
{
	struct grant_answer a;
	struct fault_hit hit;
	bool faulty;
	char tenant[128], url[512];
	const char *host = http_header(in, "Host");

	if (!split_path(in->path, tenant, sizeof(tenant))) {
		not_found(out);
		return;
	}
	faulty = faults_check(x->faults, HOOK_TOKEN, NULL, NULL, NULL, &hit);
	if (faulty && hit.kind == FAULT_TOKEN_SLOW)
		clock_sleep_ms(hit.ms, stop_fd(x->stop, STOP_NOW));
	if (strcmp(in->method, "POST") != 0) {
		grants_refuse(x->grants, TE_MALFORMED, "", clock_wall_s(), &a);
	} else if (faulty && hit.kind == FAULT_TOKEN_ERROR) {
		grants_refuse(x->grants, TE_BUSY, "", clock_wall_s(), &a);
	} else if (in->too_big || !is_form(http_header(in, "Content-Type"))) {
		grants_refuse(x->grants, TE_MALFORMED, "", clock_wall_s(), &a);
	} else {
		snprintf(url, sizeof(url), "https://%s/%s" TOKEN_PATH, host ? host : "", tenant);
		grants_answer(x->grants, tenant, url, in->body, in->len, clock_wall_s(), &a);
	}
	out->status = a.status;
	out->body = a.json;
}
