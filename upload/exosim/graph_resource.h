/* A message as a Graph resource: JSON made from what the backend keeps. Any thread. */
#ifndef NF_EXOSIM_GRAPH_RESOURCE_H
#define NF_EXOSIM_GRAPH_RESOURCE_H

#include "upload/exosim/graph.h"

/* Which part of a message must be fetched for these properties. */
enum store_part resource_part(uint64_t select);
/* select 0: the default set. Yours. */
json_t *resource_message(const struct graph_call *g, const struct tree_place *place, uint32_t uidvalidity,
	const struct store_row *row, uint64_t select);
/* createdDateTime of a row, in seconds, as the profile has it. */
int64_t resource_created_s(const struct graph_call *g, const struct store_row *row);
/* The Message-ID in a header, trimmed and unfolded; NULL: none. Yours. */
char *resource_message_id(const char *header, size_t n);
/* "2026-11-28T11:38:41Z" */
json_t *resource_time(int64_t seconds);

/* A category as a keyword and back: what no atom holds is written "=HH". Yours; NULL: no category (empty, or not UTF-8).
   is_hidden: one that IMAP does not show. */
char *resource_keyword(const char *category, bool is_hidden);
char *resource_category(const char *keyword);

#endif
