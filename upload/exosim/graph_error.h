/* What Graph says when it refuses: one table with source and grade, and the JSON. Any thread. */
#ifndef NF_EXOSIM_GRAPH_ERROR_H
#define NF_EXOSIM_GRAPH_ERROR_H

#include "upload/exosim/http.h"

/* X(KEY, HTTP status, "code", "message with at most one %s", grade). Codes: spec section 4 and Microsoft's reference; messages: public
   logs and issue threads. */
#define GRAPH_ERRORS(X) \
	X(TOKEN_EMPTY, 401, "InvalidAuthenticationToken", "Access token is empty.", "S") \
	X(TOKEN_BAD, 401, "InvalidAuthenticationToken", "IDX14100: JWT is not well formed.", "S") \
	X(TOKEN_OLD, 401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.", "S") \
	X(TOKEN_AUDIENCE, 401, "InvalidAuthenticationToken", "Access token validation failure. Invalid audience.", \
		"S") \
	X(TOKEN_REVOKED, 401, "InvalidAuthenticationToken", "Continuous access evaluation resulted in challenge.", \
		"I") \
	X(DENIED, 403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.", "S") \
	X(DIRECTORY_DENIED, 403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.", \
		"S") \
	X(USER_GONE, 404, "Request_ResourceNotFound", \
		"Resource '%s' does not exist or one of its queried reference-property objects are not present.", "S") \
	X(USER_INVALID, 404, "ErrorInvalidUser", "The requested user '%s' is invalid.", "S") \
	X(NO_REST, 404, "MailboxNotEnabledForRESTAPI", \
		"The mailbox is either inactive, soft-deleted, or is hosted on-premise.", "S") \
	X(ITEM_GONE, 404, "ErrorItemNotFound", "The specified object was not found in the store.", "S") \
	X(ID_MALFORMED, 400, "ErrorInvalidIdMalformed", "Id is malformed.", "S") \
	X(FOLDER_EXISTS, 409, "ErrorFolderExists", "A folder with the specified name already exists.", "S") \
	X(FOLDER_KEPT, 403, "ErrorDeleteDistinguishedFolder", "Distinguished folders cannot be deleted.", "I") \
	X(NAME, 400, "ErrorInvalidArgument", "The folder name is empty, too long or holds what it cannot.", "I") \
	X(SEGMENT, 400, "BadRequest", "Resource not found for the segment '%s'.", "S") \
	X(METHOD, 405, "UnknownError", "The HTTP verb %s is not supported here.", "I") \
	X(QUERY, 400, "RequestBroker--ParseUri", "The query parameter '%s' is not supported.", "I") \
	X(QUERY_VALUE, 400, "ErrorInvalidUrlQuery", "The value of the query parameter '%s' is invalid.", "I") \
	X(PROPERTY, 400, "RequestBroker--ParseUri", \
		"Could not find a property named '%s' on type 'Microsoft.OutlookServices.Message'.", "S") \
	X(FILTER, 400, "ErrorInvalidUrlQueryFilter", "The query filter contains one or more invalid nodes.", "S") \
	X(INEFFICIENT, 400, "InefficientFilter", "The restriction or sort order is too complex for this operation.", \
		"S") \
	X(BODY_READ, 400, "RequestBodyRead", \
		"The property '%s' does not exist on type 'Microsoft.OutlookServices.Message'. Make sure to only use " \
		"property names that are defined by the type.", \
		"S") \
	X(BODY_JSON, 400, "BadRequest", \
		"Unable to read JSON request payload. Please ensure Content-Type header is set " \
		"and payload is of valid JSON format.", \
		"S") \
	X(BODY_VALUE, 400, "RequestBodyRead", "Cannot convert the value of property '%s' to the expected type.", "I") \
	X(READ_ONLY, 400, "ErrorInvalidPropertySet", "The property '%s' is read-only and cannot be set.", "I") \
	X(CONTENT_TYPE, 415, "UnsupportedMediaType", "The Content-Type '%s' is not supported here.", "I") \
	X(BASE64, 400, "ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content.", "D") \
	X(MIME, 400, "ErrorMimeContentInvalid", "The MIME content is invalid.", "I") \
	X(TOO_LARGE, 413, "RequestEntityTooLarge", "The maximum request length supported is 4MB.", "S") \
	X(TOO_LARGE_400, 400, "BadRequest", "The maximum request length supported is 4MB.", "S") \
	X(MESSAGE_SIZE, 413, "ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.", "S") \
	X(QUOTA, 507, "ErrorQuotaExceeded", "The mailbox has exceeded its storage quota.", "S") \
	X(THROTTLED, 429, "ApplicationThrottled", "Application is over its %s limit.", "S") \
	X(NOT_HERE, 501, "NotImplemented", "exosim does not offer %s.", "I") \
	X(INTERNAL, 500, "ErrorInternalServerError", "An internal server error occurred. The operation failed.", "S")

enum graph_error {
#define X(k, status, code, message, grade) GE_##k,
	GRAPH_ERRORS(X)
#undef X
		GRAPH_ERRORS_END
};

struct graph_error_row {
	unsigned status;
	const char *code, *message, *grade;
};
const struct graph_error_row *graph_error_row(enum graph_error e);
/* Sets status and body; detail fills the message's hole. */
void graph_error_put(struct http_reply *out, enum graph_error e, const char *detail);
/* With a code of its own (faults). code "" or NULL: no body at all. */
void graph_error_put_text(struct http_reply *out, unsigned status, const char *code, const char *message);

#endif
