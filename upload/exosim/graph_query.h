/* The options behind "?" of a Graph request: $filter, $select, $top, $skip, $orderby, $count, $skiptoken. Parsed strictly; pure. */
#ifndef NF_EXOSIM_GRAPH_QUERY_H
#define NF_EXOSIM_GRAPH_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(KEY, "name", needs): of messages; what they are made from. needs: 0 the index, 1 the header, 2 the whole message. */
#define MESSAGE_PROPERTIES(X) \
	X(ID, "id", 0) \
	X(CREATED, "createdDateTime", 0) \
	X(MODIFIED, "lastModifiedDateTime", 0) \
	X(CHANGE_KEY, "changeKey", 0) \
	X(CATEGORIES, "categories", 0) \
	X(RECEIVED, "receivedDateTime", 0) \
	X(SENT, "sentDateTime", 1) \
	X(ATTACHMENTS, "hasAttachments", 1) \
	X(MESSAGE_ID, "internetMessageId", 1) \
	X(SUBJECT, "subject", 1) \
	X(PREVIEW, "bodyPreview", 2) \
	X(IMPORTANCE, "importance", 1) \
	X(PARENT, "parentFolderId", 0) \
	X(CONVERSATION, "conversationId", 1) \
	X(CONVERSATION_INDEX, "conversationIndex", 0) \
	X(DELIVERY_RECEIPT, "isDeliveryReceiptRequested", 1) \
	X(READ_RECEIPT, "isReadReceiptRequested", 1) \
	X(READ, "isRead", 0) \
	X(DRAFT, "isDraft", 0) \
	X(WEB_LINK, "webLink", 0) \
	X(INFERENCE, "inferenceClassification", 0) \
	X(BODY, "body", 2) \
	X(SENDER, "sender", 1) \
	X(FROM, "from", 1) \
	X(TO, "toRecipients", 1) \
	X(CC, "ccRecipients", 1) \
	X(BCC, "bccRecipients", 1) \
	X(REPLY_TO, "replyTo", 1) \
	X(FLAG, "flag", 0) \
	X(UNIQUE_BODY, "uniqueBody", 2) \
	X(HEADERS, "internetMessageHeaders", 1)

enum message_property {
#define X(k, n, needs) MP_##k,
	MESSAGE_PROPERTIES(X)
#undef X
		MESSAGE_PROPERTIES_END
};
/* What comes when nothing is selected: all but these two. */
#define MP_DEFAULT \
	((((uint64_t)1 << MESSAGE_PROPERTIES_END) - 1) & ~((uint64_t)1 << MP_UNIQUE_BODY | (uint64_t)1 << MP_HEADERS))
const char *message_property_name(enum message_property p);
/* MESSAGE_PROPERTIES_END: there is none of that name. Names are case-sensitive, as OData's are. */
enum message_property message_property_find(const char *name, size_t n);
/* The most that any of the set needs. */
unsigned message_properties_need(uint64_t set);

/* --- $filter */

enum filter_op { FILTER_EQ, FILTER_NE, FILTER_GT, FILTER_GE, FILTER_LT, FILTER_LE };
enum filter_node_kind { FILTER_COMPARE, FILTER_AND, FILTER_OR, FILTER_NOT };
#define FILTER_NODES 64

struct filter_node { /* in the order of evaluation: operands first */
	enum filter_node_kind kind;
	enum filter_op op;
	enum message_property property;
	char *text;     /* owned: of texts */
	int64_t number; /* microseconds since 1970 of dates; 0 or 1 of truth values */
};
struct filter {
	struct filter_node node[FILTER_NODES];
	size_t n; /* 0: no filter */
};
enum filter_fault { FILTER_GOOD, FILTER_SYNTAX, FILTER_PROPERTY, FILTER_TYPE };
/* Properties that may be compared: dates, isRead, isDraft, internetMessageId, subject. unknown: room for a name of FILTER_PROPERTY. */
enum filter_fault filter_parse(struct filter *f, const char *text, char *unknown, size_t size);
void filter_done(struct filter *f);
/* value(): the text (may be NULL: not there), or the number of a property. */
struct filter_value {
	const char *text;
	int64_t number;
};
bool filter_matches(const struct filter *f, bool no_case,
	struct filter_value (*value)(const void *row, enum message_property p), const void *row);
/* The set of properties it looks at. */
uint64_t filter_properties(const struct filter *f);
/* The Message-ID that every match must have; NULL: none. Borrowed. */
const char *filter_message_id(const struct filter *f);

/* --- all of it */

enum query_fault { QUERY_GOOD, QUERY_OPTION, QUERY_VALUE, QUERY_PROPERTY, QUERY_FILTER };

struct graph_query {
	struct filter filter;
	uint64_t select; /* set of properties; 0: not given */
	bool has_top, wants_count, includes_hidden;
	uint64_t top, skip;
	bool has_order, ascending;
	enum message_property order;
	enum query_fault fault; /* the first one */
	char detail[128];
	bool is_message;               /* else $select and $filter are kept as they are, for whoever answers */
	char *raw_select, *raw_filter; /* owned; NULL: not given */
};
/* One option. Call with a zeroed struct (is_message set) for each; true: go on. */
bool graph_query_take(struct graph_query *q, const char *name, const char *value);
void graph_query_done(struct graph_query *q);
/* The $skiptoken of a nextLink; yours. */
char *graph_query_token(uint64_t skip);

/* "2026-01-02T03:04:05[.678]Z" or with an offset, in microseconds. */
bool graph_time_parse(const char *text, size_t n, int64_t *us);

#endif
