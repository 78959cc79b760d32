#include "upload/token_reply.h"

#include <jansson.h>
#include <strings.h>

#define LONGEST_LIFE_S 86400
#define LONGEST_TOKEN ((size_t)32 * 1024)

/* Microsoft's reference of AADSTS codes. kind BUSY: passing, the job comes again. */
static const struct {
	long code;
	enum err_kind kind;
	const char *hint;
} codes[] = {
	{7000215, ERR_CREDENTIALS,
		"wrong client secret: give the secret's Value, not its Secret ID (app registration, Certificates & "
		"secrets)"},
	{7000222, ERR_CREDENTIALS,
		"the client secret has expired: make a new one in the app registration and set it on the target"},
	{700016, ERR_CREDENTIALS,
		"this tenant does not know the application: check the client id (Application ID, not Object ID) and "
		"the tenant"},
	{7000229, ERR_CREDENTIALS,
		"the application has no enterprise application in this tenant: give admin consent once"},
	{7000112, ERR_CREDENTIALS, "the application is disabled in this tenant: enable its enterprise application"},
	{7000218, ERR_CREDENTIALS, "the request held no secret and no assertion the server could read"},
	{90002, ERR_CREDENTIALS, "there is no such tenant: check the tenant's id or domain, and the cloud (--cloud)"},
	{900023, ERR_CREDENTIALS, "the tenant is neither a domain name nor a GUID that exists"},
	{90072, ERR_CREDENTIALS, "the tenant is another than the application's"},
	{50194, ERR_CREDENTIALS, "give the tenant itself, not \"common\": the application is single-tenant"},
	{53003, ERR_CREDENTIALS, "a conditional access policy for workload identities blocks this sign-in"},
	{50059, ERR_CREDENTIALS, "the tenant is missing in the request: check the target's tenant"},
	{65001, ERR_CREDENTIALS,
		"an administrator has not consented: app registration, API permissions, Grant admin consent"},
	{650056, ERR_CREDENTIALS, "the application has no permission on this resource: add it and grant admin consent"},
	{650057, ERR_CREDENTIALS,
		"the resource is not among the application's permissions: add it and grant admin consent"},
	{500011, ERR_CREDENTIALS,
		"the resource is unknown in this tenant: check the scope and that the tenant has Exchange Online"},
	{501051, ERR_CREDENTIALS, "the application has no role assigned on the resource: grant admin consent"},
	{700027, ERR_CREDENTIALS,
		"the assertion's signature is not accepted: upload this very certificate to the app registration"},
	{700024, ERR_CREDENTIALS, "the assertion is not valid at this time: set this machine's clock"},
	{700023, ERR_CREDENTIALS, "the assertion is for another audience: check --login-url"},
	{700021, ERR_CREDENTIALS, "the assertion's application is not the client: check the client id"},
	{700030, ERR_CREDENTIALS, "the certificate is not accepted: upload it to the app registration"},
	{5000224, ERR_CREDENTIALS, "the tenant's resource is not available in this cloud: check --cloud"},
	{900382, ERR_CREDENTIALS, "the tenant is in another national cloud: set --cloud"},
	{70011, ERR_CREDENTIALS, "the scope is not valid: it must be one resource followed by /.default"},
	{1002012, ERR_CREDENTIALS, "the scope is not valid: it must be one resource followed by /.default"},
	{90033, ERR_BUSY, "the directory is not available for the moment"},
	{90006, ERR_BUSY, "the sign-in service is not available for the moment"},
	{50196, ERR_BUSY, "the service saw too many equal requests for tokens"},
};

/* The code in "AADSTS7000215: ...", or the first of error_codes; 0: none. */
static long aadsts_code(json_t *root)
{
	json_t *first = json_array_get(json_object_get(root, "error_codes"), 0);
	if (json_is_integer(first) && json_integer_value(first) > 0 && json_integer_value(first) < 100000000)
		return (long)json_integer_value(first);
	const char *text = json_string_value(json_object_get(root, "error_description"));
	const char *at = text ? strstr(text, "AADSTS") : NULL;
	long code = at ? strtol(at + 6, NULL, 10) : 0;
	return code > 0 && code < 100000000 ? code : 0;
}

static int refused_by_code(int status, json_t *root, struct err *err)
{
	const char *name = json_string_value(json_object_get(root, "error"));
	long code = aadsts_code(root);
	if (code)
		err_set(err, ERR_CREDENTIALS, "the sign-in service refuses the application (AADSTS%ld)", code);
	else
		err_set(err, ERR_CREDENTIALS, "the sign-in service refuses the application (status %d, %.60s)", status,
			name ? name : "no error code");
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (codes[i].code == code) {
			err->kind = codes[i].kind;
			err_hint(err, "%s", codes[i].hint);
		}
	}
	if (name && !strcmp(name, "temporarily_unavailable"))
		err->kind = ERR_BUSY;
	return -1;
}

static int refused(int status, json_t *root, const char *body, size_t n, int64_t retry_after_ms, struct err *err)
{
	if (status == 429)
		err_set(err, ERR_THROTTLED, "the sign-in service throttles");
	else if (status >= 500)
		err_set(err, ERR_BUSY, "the sign-in service is not available (status %d)", status);
	else if (status >= 300 && status < 400)
		err_set(err, ERR_PROTOCOL, "the sign-in service redirects (status %d), which is not followed", status);
	else if (status >= 400 && json_is_string(json_object_get(root, "error")))
		refused_by_code(status, root, err);
	else {
		err_set(err, ERR_PROTOCOL, "the answer is not one of a token endpoint (status %d)", status);
		err_hint(err, "check --login-url; a proxy of your own may have answered");
	}
	const char *text = json_string_value(json_object_get(root, "error_description"));
	if (text) /* several lines: the first holds the reason, trace ids follow */
		err_server(err, text, strcspn(text, "\r\n"));
	else if (status != 200 && body)
		err_server(err, body, n);
	err->retry_after_ms = retry_after_ms;
	return -1;
}

/* What may stand in a header and in a SASL string (RFC 6750 section 2.1). */
static bool is_token(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	}
	return n > 0 && n <= LONGEST_TOKEN;
}

static int granted(json_t *root, struct secret **out, int64_t *life_ms, struct err *err)
{
	json_t *token = json_object_get(root, "access_token"), *life = json_object_get(root, "expires_in");
	const char *type = json_string_value(json_object_get(root, "token_type"));
	const char *text = json_string_value(token);
	long long seconds = 0;
	if (json_is_integer(life))
		seconds = json_integer_value(life);
	else if (json_is_string(life))
		seconds = strtoll(json_string_value(life), NULL, 10);
	if (!text || !is_token(text, json_string_length(token)))
		return err_set(err, ERR_PROTOCOL, "the sign-in service's answer holds no usable token");
	if (type && strcasecmp(type, "Bearer") != 0)
		return err_set(err, ERR_PROTOCOL, "the sign-in service's token is not a bearer token");
	if (seconds <= 0)
		return err_set(err, ERR_PROTOCOL, "the sign-in service's token has no life");
	*life_ms = (int64_t)(seconds > LONGEST_LIFE_S ? LONGEST_LIFE_S : seconds) * 1000;
	*out = secret_new(text, json_string_length(token));
	return *out ? 0 : err_set(err, ERR_MEMORY, "no memory for a token");
}

/* jansson's copy of the token does not stay behind in freed memory. */
static void wipe_string(json_t *s)
{
	const char *text = json_string_value(s);
	if (text)
		secret_wipe((void *)(uintptr_t)text, json_string_length(s));
}

int token_reply_read(int status, const char *body, size_t n, int64_t retry_after_ms, struct secret **out,
	int64_t *life_ms, struct err *err)
{
	*out = NULL;
	*life_ms = 0;
	json_t *root = body && n <= TOKEN_REPLY_CAP ? json_loadb(body, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
	int rc = status == 200 && json_is_object(root) ? granted(root, out, life_ms, err)
						       : refused(status, root, body, n, retry_after_ms, err);
	wipe_string(json_object_get(root, "access_token"));
	json_decref(root);
	return rc;
}
