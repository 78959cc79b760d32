#include "upload/graph_error.h"

#include <jansson.h>

#include <string.h>

enum doing { NOT_DONE, MAYBE_DONE };

/* NOT_DONE: refused before anything was stored. MAYBE_DONE: the service gave up in the middle, or does not say where.
   D, S, T, I: how sure it is (spec). */
static const struct code_row {
	const char *code;
	enum err_kind kind;
	enum doing doing;
	const char *hint; /* NULL: none */
} codes[] = {
	/* who and where */
	{"InvalidAuthenticationToken", ERR_CREDENTIALS, NOT_DONE,
		"the token is refused again after it was renewed: nightferry target test"}, /* D */
	{"CompactToken", ERR_CREDENTIALS, NOT_DONE, NULL}, {"Unauthorized", ERR_CREDENTIALS, NOT_DONE, NULL},
	{"ErrorAccessDenied", ERR_RIGHTS, NOT_DONE,
		"give the application Mail-Advanced.ReadWrite.All and Mail.ReadWrite (Microsoft Graph, application "
		"permissions) with admin consent; an application access policy or RBAC scope must hold this mailbox; "
		"rights take up to an hour"}, /* D */
	{"Authorization_RequestDenied", ERR_RIGHTS, NOT_DONE,
		"the application lacks a permission of Microsoft Graph, or admin consent"}, /* D */
	{"AccessDenied", ERR_RIGHTS, NOT_DONE, "the application lacks a permission of Microsoft Graph"},
	{"Forbidden", ERR_RIGHTS, NOT_DONE, "the application lacks a permission of Microsoft Graph"},
	{"ErrorSendAsDenied", ERR_MESSAGE, NOT_DONE, NULL},
	{"MailboxNotEnabledForRESTAPI", ERR_MAILBOX, NOT_DONE,
		"no licence, soft-deleted, or still on-premises: assign a licence, or wait until the mailbox is "
		"made"},                                                /* D */
	{"MailboxNotSupportedForRESTAPI", ERR_MAILBOX, NOT_DONE, NULL}, /* D */
	{"ErrorInvalidUser", ERR_MAILBOX, NOT_DONE,
		"check the address: the user principal name or the primary address"}, /* D */
	{"Request_ResourceNotFound", ERR_MAILBOX, NOT_DONE,
		"check the address: the user principal name or the primary address"}, /* S */
	{"ResourceNotFound", ERR_MAILBOX, NOT_DONE, NULL},                            /* S */
	{"ErrorNonExistentMailbox", ERR_MAILBOX, NOT_DONE, NULL},                     /* D */
	{"ErrorAccountDisabled", ERR_MAILBOX, NOT_DONE, NULL},                        /* D */

	/* things */
	{"ErrorItemNotFound", ERR_GONE, NOT_DONE, NULL},                  /* D */
	{"ErrorFolderNotFound", ERR_GONE, NOT_DONE, NULL},                /* D */
	{"ErrorParentFolderNotFound", ERR_GONE, NOT_DONE, NULL},          /* D */
	{"ErrorInvalidIdMalformed", ERR_GONE, NOT_DONE, NULL},            /* D */
	{"ErrorInvalidId", ERR_GONE, NOT_DONE, NULL},                     /* D */
	{"ErrorInvalidFolderId", ERR_GONE, NOT_DONE, NULL},               /* D */
	{"ErrorFolderExists", ERR_CONFLICT, NOT_DONE, NULL},              /* D */
	{"ErrorIrresolvableConflict", ERR_BUSY, NOT_DONE, NULL},          /* D */
	{"ErrorChangeKeyRequired", ERR_BUSY, NOT_DONE, NULL},             /* D */
	{"ErrorCannotDeleteObject", ERR_CONFLICT, NOT_DONE, NULL},        /* D */
	{"ErrorDeleteDistinguishedFolder", ERR_CONFLICT, NOT_DONE, NULL}, /* D */

	/* the message */
	{"ErrorMessageSizeExceeded", ERR_TOO_BIG, NOT_DONE,
		"Set-Mailbox MAILBOX -MaxReceiveSize 150MB, or let it go by the route imap"}, /* D */
	{"ErrorAttachmentSizeLimitExceeded", ERR_TOO_BIG, NOT_DONE, NULL},                    /* D */
	{"RequestEntityTooLarge", ERR_TOO_BIG, NOT_DONE, NULL},                               /* S */
	{"ErrorMimeContentInvalid", ERR_MESSAGE, NOT_DONE, NULL},                             /* D */
	{"ErrorMimeContentConversionFailed", ERR_MESSAGE, NOT_DONE, NULL},                    /* D */
	{"ErrorContentConversionFailed", ERR_MESSAGE, NOT_DONE, NULL},                        /* D */
	{"ErrorCorruptData", ERR_MESSAGE, NOT_DONE, NULL},                                    /* D */
	{"ErrorInvalidRecipients", ERR_MESSAGE, NOT_DONE, NULL},                              /* D */
	{"ErrorMimeContentInvalidBase64String", ERR_PROTOCOL, NOT_DONE,
		"what was sent is base64: something in between altered it"}, /* D */

	/* room */
	{"ErrorQuotaExceeded", ERR_QUOTA, NOT_DONE,
		"the mailbox is full: raise its quota or give it an archive, and start again"}, /* D */
	{"ErrorMessagePerFolderCountReceiveQuotaExceeded", ERR_FOLDER, NOT_DONE,
		"the folder holds as many messages as it may"}, /* D */

	/* limits */
	{"ApplicationThrottled", ERR_THROTTLED, NOT_DONE, NULL},         /* S */
	{"TooManyRequests", ERR_THROTTLED, NOT_DONE, NULL},              /* D */
	{"activityLimitReached", ERR_THROTTLED, NOT_DONE, NULL},         /* D */
	{"ErrorExceededConnectionCount", ERR_THROTTLED, NOT_DONE, NULL}, /* D */
	{"ErrorTooManyObjectsOpened", ERR_THROTTLED, NOT_DONE, NULL},    /* D */
	{"ErrorServerBusy", ERR_BUSY, NOT_DONE, NULL},                   /* D */
	{"ErrorMailboxMoveInProgress", ERR_BUSY, NOT_DONE,
		"Microsoft is moving the mailbox between its databases: it comes back by itself"}, /* D */
	{"ErrorMailboxStoreUnavailable", ERR_BUSY, NOT_DONE, NULL},                                /* D */
	{"ErrorMailboxFailover", ERR_BUSY, NOT_DONE, NULL},                                        /* D */
	{"ErrorConnectionFailed", ERR_BUSY, MAYBE_DONE, NULL},                                     /* D, I */
	{"ErrorTimeoutExpired", ERR_BUSY, MAYBE_DONE, NULL},                                       /* D, I */
	{"ErrorInternalServerError", ERR_BUSY, MAYBE_DONE, NULL},                                  /* D, I */
	{"ErrorInternalServerTransientError", ERR_BUSY, MAYBE_DONE, NULL},                         /* D, I */
};

/* Where the code says too little ("BadRequest", "UnknownError") and the words do. */
static const struct words_row {
	const char *words;
	enum err_kind kind;
	const char *hint;
} words[] = {
	{"maximum request length", ERR_TOO_BIG, NULL}, /* 400 and 413, T */
	{"not found for the segment", ERR_RIGHTS,
		"this tenant has no importMime (it is beta and of the global cloud only): set the target's routes to "
		"imap"}, /* S */
	{"is over its", ERR_THROTTLED, NULL},
};

static const struct status_row {
	int from, to;
	enum err_kind kind;
	enum doing doing;
	const char *hint;
} statuses[] = {
	{200, 299, ERR_PROTOCOL, MAYBE_DONE, NULL}, /* success, but not the one that was promised */
	{303, 303, ERR_PROTOCOL, MAYBE_DONE, "a redirection is not followed: it would take the token elsewhere"},
	{300, 399, ERR_PROTOCOL, NOT_DONE, "a redirection is not followed: it would take the token elsewhere"},
	{400, 400, ERR_MESSAGE, NOT_DONE, NULL},
	{401, 401, ERR_CREDENTIALS, NOT_DONE,
		"the token is refused again after it was renewed: nightferry target test"},
	{403, 403, ERR_RIGHTS, NOT_DONE, "the application lacks a permission of Microsoft Graph, or admin consent"},
	{404, 404, ERR_GONE, NOT_DONE, NULL},
	{405, 405, ERR_RIGHTS, NOT_DONE, "the service does not offer this route here: set the target's routes to imap"},
	{408, 408, ERR_LOST, MAYBE_DONE, NULL},
	{409, 409, ERR_CONFLICT, NOT_DONE, NULL},
	{410, 410, ERR_GONE, NOT_DONE, NULL},
	{413, 413, ERR_TOO_BIG, NOT_DONE, NULL},
	{423, 423, ERR_BUSY, NOT_DONE, NULL},
	{429, 429, ERR_THROTTLED, NOT_DONE, NULL},
	{400, 498, ERR_PROTOCOL, NOT_DONE, NULL},
	{499, 499, ERR_LOST, MAYBE_DONE, NULL},
	{501, 501, ERR_RIGHTS, NOT_DONE, "the service does not offer this route here: set the target's routes to imap"},
	{507, 507, ERR_QUOTA, NOT_DONE, "the mailbox is full: raise its quota or give it an archive, and start again"},
	{509, 509, ERR_THROTTLED, NOT_DONE, NULL},
	/* 503 with an empty body was seen as a time-out in the middle of the work (S); 502 and 504 come from what stands before it */
	{500, 599, ERR_BUSY, MAYBE_DONE, NULL},
};

/* What a throttle's words name (spec section 4). */
static enum dimension dimension_of(const char *text)
{
	static const struct {
		const char *word;
		enum dimension dimension;
	} names[] = {
		{"Concurrency", DIM_IN_FLIGHT},
		{"oncurrent", DIM_IN_FLIGHT},
		{"IncomingBytes", DIM_BYTES},
		{"RequestRate", DIM_REQUESTS},
		{"Requests", DIM_REQUESTS},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strstr(text, names[i].word))
			return names[i].dimension;
	}
	return DIM_NONE;
}

static const struct code_row *code_find(const char *code)
{
	for (size_t i = 0; code && i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (!strcmp(codes[i].code, code))
			return &codes[i];
	}
	return NULL;
}

static const struct words_row *words_find(const char *text)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(text, words[i].words))
			return &words[i];
	}
	return NULL;
}

static const struct status_row *status_find(int status)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (status >= statuses[i].from && status <= statuses[i].to)
			return &statuses[i];
	}
	return NULL;
}

static const char *text_of(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* The code that is known, outermost first: a 500 may hold the real reason inside. */
static const struct code_row *code_of(json_t *error)
{
	const struct code_row *row = code_find(text_of(error, "code"));
	for (int depth = 0; !row && error && depth < 4; depth++) {
		json_t *inner = json_object_get(error, "innerError");
		error = inner ? inner : json_object_get(error, "innererror");
		row = code_find(text_of(error, "code"));
	}
	return row;
}

int graph_error_read(
	int status, const char *body, size_t n, int64_t retry_after_ms, struct graph_refusal *out, struct err *err)
{
	json_t *root = body && n <= GRAPH_ERROR_CAP ? json_loadb(body, n, JSON_ALLOW_NUL, NULL) : NULL;
	json_t *error = json_object_get(root, "error");
	const char *code = text_of(error, "code"), *message = text_of(error, "message");
	const struct code_row *by_code = code_of(error);
	const struct words_row *by_words = by_code || !message ? NULL : words_find(message);
	const struct status_row *by_status = status_find(status);
	enum err_kind kind = by_code     ? by_code->kind
			     : by_words  ? by_words->kind
			     : by_status ? by_status->kind
					 : ERR_PROTOCOL;
	const char *hint = by_code ? by_code->hint : by_words ? by_words->hint : by_status ? by_status->hint : NULL;
	/* A code is worth more than its status, except that a gateway's time-out knows nothing of what went on behind it. */
	bool maybe = by_status ? by_status->doing == MAYBE_DONE : true;
	if (by_code && status >= 300 && status != 504)
		maybe = by_code->doing == MAYBE_DONE;
	else if (by_words && status >= 300 && status < 500)
		maybe = false;
	err_set(err, kind, "Graph answers %d%s%.80s", status, code ? " " : "", code ? code : "");
	if (message && *message)
		err_server(err, message, strlen(message));
	else if (!error && body)
		err_server(err, body, n);
	if (hint)
		err_hint(err, "%s", hint);
	err->retry_after_ms = retry_after_ms;
	*out = (struct graph_refusal){.maybe_done = maybe,
		.dimension = kind == ERR_THROTTLED ? dimension_of(message ? message : "") : DIM_NONE};
	json_decref(root);
	return -1;
}
