/* The rules of the service as tables: every rule with its source and grade. D documented by Microsoft, S seen in public source or logs
   that talk to the live service, T told by third parties, I inferred, ? unknown. Switches are atomics: any thread. */
#ifndef NF_EXOSIM_RULE_H
#define NF_EXOSIM_RULE_H

#include "engine/base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* X(KEY, "name", kind, unkind, "grade", "what it is and where it comes from"). A T, I or ? rule is one line here, so that a live
   finding corrects one line. 0 of a limit: none. */
#define SWITCHES(X) \
	X(TOKEN_LIFE_S, "token_life", 3599, 3599, "D", "seconds a token lives: expires_in 3599") \
	X(ASSERTION_ONCE, "assertion_once", 0, 1, "?", "a client assertion's jti is taken only once") \
	X(SIZE_CAP, "size_cap", 36700160, 36700160, "D", \
		"MaxReceiveSize of a mailbox in octets: 35 MB by default, 150 MB at most") \
	X(LINE_MAX, "line_max", 10239, 10239, "T", \
		"longest line of a message in octets (imapsync's FAQ: 10,239; others 10,500)") \
	X(COMMAND_MAX, "command_max", 10239, 10239, "T", \
		"longest command line (nextcloud/mail issue 6038: a 40 kB UID set is Error 11)") \
	X(NUL_REFUSED, "nul_refused", 1, 1, "I", "a NUL in the body is refused: RFC 3501's literal has none") \
	X(ERRORS_MAX, "errors_max", 10, 10, "S", \
		"NO and BAD answers in a session before BYE (imapsync's FAQ, MailKit's logs)") \
	X(SESSIONS_MAX, "sessions_max", 20, 8, "T", "sessions of one mailbox; more are signed in but not connected") \
	X(IDLE_S, "idle_timeout", 1800, 1800, "D", \
		"seconds without a command before BYE: PopImap settings, AuthenticatedConnectionTimeout") \
	X(LOGIN_S, "login_timeout", 60, 60, "D", "the same before sign-in: PreAuthenticatedConnectionTimeout") \
	X(APPENDS_MAX, "appends_max", 0, 0, "?", \
		"APPENDs of an app in a mailbox within appends_window (imapsync's users run at 4/s)") \
	X(APPENDS_WINDOW_MS, "appends_window", 1000, 1000, "?", "milliseconds") \
	X(BYTES_MAX, "bytes_max", 0, 0, "?", "octets of APPENDs of an app in a mailbox within bytes_window") \
	X(BYTES_WINDOW_MS, "bytes_window", 300000, 300000, "?", \
		"milliseconds; Graph's documented window, IMAP's is unknown") \
	X(BACKOFF_MS, "backoff", 0, 0, "?", \
		"milliseconds a limit asks for; 0: until the window is free again (seen: up to 299,961)") \
	X(THROTTLE_BAD, "throttle_bad", 0, 1, "S", "the throttle text comes as BAD instead of NO (both were seen)") \
	X(THROTTLE_CLOSES, "throttle_closes", 1, 1, "S", "the connection is closed after it") \
	X(FENCE_HOLDS, "fence_holds", 1, 1, "T", "commands within the backoff time are throttled too") \
	X(SASL_CHALLENGE, "sasl_challenge", 1, 0, "?", \
		"a refused token gets a base64 JSON challenge before NO (XOAUTH2's rule; logs show NO at once)") \
	X(NO_PERMISSION_CONNECTS, "no_permission_connects", 0, 1, "S", \
		"without permission: signs in, then 'not connected' (MailKit, email-oauth2-proxy)") \
	X(UID_GIVEN, "appenduid", 1, 0, "T", "APPEND answers APPENDUID (UIDPLUS is announced either way)") \
	X(RECEIVED_KEPT, "received_kept", 1, 1, "D", \
		"the received date is APPEND's date-time; 0: the time of arrival") \
	X(FLAGGED_KEPT, "append_flagged_kept", 1, 0, "T", \
		"\\Flagged given in APPEND stays; 0: as Outlook sees it on older builds, lost") \
	X(SEEN_KEPT, "append_seen_kept", 1, 1, "I", "\\Seen given in APPEND stays") \
	X(KEYWORDS_KEPT, "keywords_kept", 1, 1, "T", "a keyword becomes a category and is shown as a keyword again") \
	X(MIME_RECODED, "mime_recoded", 0, 1, "T", \
		"headers are refolded and text parts re-encoded: octets and size differ from what came") \
	X(MESSAGE_ID_ADDED, "message_id_added", 0, 1, "I", "a message without Message-ID gets one") \
	X(SPECIAL_USE_SHOWN, "special_use_shown", 0, 0, "T", \
		"LIST shows special-use attributes although SPECIAL-USE is not announced") \
	X(NONMAIL_FOLDERS, "nonmail_folders", 1, 1, "S", "LIST shows Calendar, Contacts, … (libremail issue 105)") \
	X(NAMES_TRIMMED, "names_trimmed", 1, 1, "T", "blanks around a folder's name are dropped") \
	X(NAME_MAX, "name_max", 255, 255, "T", "octets of one level of a folder's name, in UTF-8") \
	X(DEPTH_MAX, "depth_max", 300, 300, "T", "levels of folders") \
	X(KEYWORDS_OPEN, "keywords_open", 0, 0, "S", "PERMANENTFLAGS holds \\*") \
	X(GRAPH_IN_FLIGHT, "graph_in_flight", 4, 4, "D", "Graph: requests at once of an app in a mailbox") \
	X(GRAPH_REQUESTS, "graph_requests", 10000, 10000, "D", "Graph: requests within graph_requests_window") \
	X(GRAPH_REQUESTS_WINDOW_MS, "graph_requests_window", 600000, 600000, "D", "milliseconds") \
	X(GRAPH_BYTES, "graph_bytes", 150000000, 150000000, "D", \
		"Graph: octets of POST, PUT and PATCH within graph_bytes_window (that MB are millions: ?)") \
	X(GRAPH_BYTES_WINDOW_MS, "graph_bytes_window", 300000, 300000, "D", "milliseconds") \
	X(GRAPH_RETRY, "graph_retry", 0, 0, "?", \
		"Retry-After of a 429: 0 when it will fit, 1 always graph_retry_ms, 2 none") \
	X(GRAPH_RETRY_MS, "graph_retry_ms", 1000, 1000, "?", "the least, or the only, Retry-After in milliseconds") \
	X(GRAPH_REFUSED_FREE, "graph_refused_free", 0, 0, "?", \
		"the octets of a refused request do not count (that the request does: D)") \
	X(GRAPH_REQUEST_MAX, "graph_request_max", 4194304, 4000000, "T", "octets of a request's body: 4 MB") \
	X(GRAPH_TOO_BIG, "graph_too_big", 0, 2, "T", \
		"a larger one: 0 is 413, 1 is 400, 2 is 200 with nothing created (all were seen)") \
	X(GRAPH_SIZE_CAP, "graph_size_cap", 0, 0, "?", \
		"octets of MIME that are taken: more is ErrorMessageSizeExceeded; 0: what fits into a request") \
	X(GRAPH_RECEIVED, "graph_received", 1, 0, "?", \
		"importMime's received date: 0 now, 1 the first Received field (else Date), 2 Date (else now)") \
	X(GRAPH_CREATED, "graph_created", 0, 1, "?", "createdDateTime: 0 the time of arrival, 1 the received date") \
	X(GRAPH_IMPORT_READ, "graph_import_read", 0, 1, "?", "an imported message is read at once") \
	X(GRAPH_FILTER_NOCASE, "graph_filter_nocase", 0, 1, "?", "texts in $filter are compared without case") \
	X(GRAPH_CATEGORIES_SHOWN, "graph_categories_shown", 1, 0, "T", \
		"categories set by Graph are keywords over IMAP; 0: IMAP does not show them") \
	X(GRAPH_ANSWER_BODY, "graph_answer_body", 0, 1, "?", "the answer to a MIME create holds body and preview") \
	X(GRAPH_SENSITIVE, "graph_sensitive", 0, 1, "I", \
		"sensitive properties of non-drafts: 0 refused from 31 Dec 2026 on (D), 1 refused, 2 allowed") \
	X(GRAPH_ALIAS, "graph_alias", 1, 0, "T", "/users/{alias} finds the mailbox") \
	X(GRAPH_BASE64_LINES, "graph_base64_lines", 1, 0, "?", "line ends and blanks in base64 are passed over") \
	X(GRAPH_PAGES_SHORT, "graph_pages_short", 0, 1, "I", \
		"the first page of a list is empty and has a nextLink (that pages may be short: D)") \
	X(GRAPH_DELETE_MOVES, "graph_delete_moves", 0, 1, "T", "DELETE moves to Deleted Items, unless it is there")

enum rule_switch {
#define X(k, n, kind, unkind, grade, text) SW_##k,
	SWITCHES(X)
#undef X
		SWITCHES_END
};

struct profile {
	_Atomic int64_t value[SWITCHES_END];
};

struct switch_row {
	const char *name, *grade, *text;
	int64_t kind, unkind;
};

const struct switch_row *rule_row(enum rule_switch sw);
void profile_init(struct profile *p, bool unkind);
static inline int64_t profile_get(struct profile *p, enum rule_switch sw)
{
	return atomic_load_explicit(&p->value[sw], memory_order_relaxed);
}
/* ERR_USAGE: no such switch, or a negative value. */
int profile_set(struct profile *p, const char *name, int64_t value, struct err *err);
/* "name=value". */
int profile_set_text(struct profile *p, const char *text, struct err *err);

/* How a keyword of the backend begins that is a category and that IMAP does not show. */
#define CATEGORY_HIDDEN "=_"

/* What the IMAP service says. */
#define SAY_GREETING \
	"* OK The Microsoft Exchange IMAP4 service is ready. [%s]\r\n" /* S: all logs; base64 of UTF-16 host name */
#define SAY_CAPABILITY "IMAP4 IMAP4rev1 AUTH=XOAUTH2 "                 /* S: imapflow issue 392, 2026 */
#define SAY_CAPABILITY_BEFORE "LOGINDISABLED SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
#define SAY_CAPABILITY_AFTER \
	"SASL-IR UIDPLUS MOVE ID UNSELECT CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION " \
	"BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE " \
	"LITERAL+"
#define SAY_ID \
	"* ID (\"name\" \"Microsoft.Exchange.Imap4.Imap4Server\" \"version\" \"15.20\")\r\n" /* S: imapflow issue 392 */
#define SAY_CONTINUE "+ Ready for additional command text.\r\n"                              /* T */
#define SAY_CLOSED "* BYE Connection closed. 14\r\n" /* S: MailKit issue 1496, email-oauth2-proxy issue 74 */
#define SAY_LOGOUT "* BYE Microsoft Exchange Server IMAP4 server signing off.\r\n" /* T */
#define SAY_NOT_CONNECTED "BAD User is authenticated but not connected."           /* S: MailKit issue 1494 */
#define SAY_SIGNIN_FAILED "NO AUTHENTICATE failed."              /* S: office-developer-exchange-docs issue 87 */
#define SAY_LOGIN_FAILED "NO LOGIN failed."                      /* S */
#define SAY_WRONG_STATE "BAD Command received in Invalid state." /* T */
#define SAY_UNKNOWN "BAD Command Error. 12"                      /* S/T: spec section 2 */
#define SAY_ARGUMENT "BAD Command Argument Error. 11"            /* S: imapsync issues 5, 161, 239 */
#define SAY_TOO_BIG "NO Maximum size of appendable message has been exceeded" /* S/T: spec section 2 */
#define SAY_BAD_HEADER "NO Message contains invalid header"                   /* S/T: spec section 2 */
#define SAY_RESERVED "NO Folder name is reserved"                             /* S/T: imapsync's FAQ, Office365 */
#define SAY_EXISTS "NO Mailbox already exists."                               /* S/T: spec section 2 */
#define SAY_QUOTA "NO Server Unavailable. 15"                                 /* S/T: spec section 2 */
#define SAY_THROTTLED "%s Request is throttled. Suggested Backoff Time: %lld milliseconds" /* S: imapsync issue 198 */
#define SAY_GONE "%s doesn't exist."                                                       /* S: imapsync issue 459 */
#define SAY_FLAGS "\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent"                 /* S: imapclient issue 385 */

/* What the token endpoint says: X(KEY, code, HTTP status, "error", "text", grade). Texts: Microsoft's reference of AADSTS codes and logs. */
#define TOKEN_ERRORS(X) \
	X(MISSING, 900144, 400, "invalid_request", "The request body must contain the following parameter: '%s'.", \
		"S") \
	X(MALFORMED, 9002313, 400, "invalid_request", "Invalid request. Request is malformed or invalid.", "S") \
	X(TENANT, 90002, 400, "invalid_request", \
		"Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into " \
		"the correct cloud.", \
		"S") \
	X(GRANT, 70003, 400, "unsupported_grant_type", "The app requested an unsupported grant type '%s'.", "S") \
	X(APP, 700016, 400, "unauthorized_client", "Application with identifier '%s' was not found in the directory.", \
		"S") \
	X(SECRET, 7000215, 401, "invalid_client", \
		"Invalid client secret provided. Ensure the secret being sent in the request is the client " \
		"secret value, not the client secret ID, for a secret added to app '%s'.", \
		"S") \
	X(SECRET_OLD, 7000222, 401, "invalid_client", "The provided client secret keys for app '%s' are expired.", \
		"S") \
	X(NO_SECRET, 7000216, 401, "invalid_client", \
		"'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant " \
		"type.", \
		"S") \
	X(JWT, 50027, 401, "invalid_client", "JWT token is invalid or malformed: %s.", "D") \
	X(KEY, 700027, 401, "invalid_client", \
		"The certificate with identifier used to sign the client assertion is not registered on " \
		"application. [Reason - %s]", \
		"S") \
	X(JWT_TIME, 700024, 401, "invalid_client", "Client assertion is not within its valid time range. %s", "S") \
	X(JWT_APP, 700021, 401, "invalid_client", \
		"Client assertion application identifier doesn't match 'client_id' parameter.", "S") \
	X(JWT_AUDIENCE, 700023, 401, "invalid_client", "Client assertion audience claim does not match Realm issuer.", \
		"S") \
	X(JWT_AGAIN, 50013, 401, "invalid_client", "Assertion failed signature validation. [Reason - %s]", "?") \
	X(SCOPE, 70011, 400, "invalid_scope", \
		"The provided request must include a 'scope' input parameter. The provided value for the input " \
		"parameter 'scope' is not valid. The scope %s is not valid.", \
		"S") \
	X(SCOPE_DEFAULT, 1002012, 400, "invalid_scope", \
		"The provided value for scope %s is not valid. Client credential flows must have a scope value " \
		"with /.default suffixed to the resource identifier (application ID URI).", \
		"S") \
	X(RESOURCE, 500011, 400, "invalid_resource", "The resource principal named %s was not found in the tenant.", \
		"S") \
	X(BUSY, 90033, 503, "temporarily_unavailable", "A transient error has occurred. Please try again.", "D")

enum token_error {
#define X(k, code, status, error, text, grade) TE_##k,
	TOKEN_ERRORS(X)
#undef X
		TOKEN_ERRORS_END
};

struct token_error_row {
	unsigned code, status;
	const char *error, *text; /* text has at most one %s */
	const char *grade;
};
const struct token_error_row *rule_token_error(enum token_error e);

/* Folders that every mailbox has and IMAP lists, by language. */
enum folder_kind { FOLDER_MAIL, FOLDER_OTHER };
struct known_folder {
	const char *use;              /* special-use attribute, "" if it has none */
	const char *english, *german; /* UTF-8 */
	const char *graph;            /* well-known name, "" if it has none */
	enum folder_kind kind;
};
/* n-th row, NULL after the last. INBOX is not in it. */
const struct known_folder *rule_known_folder(size_t n);

#endif
