/* Inside engine/survey*.c only: what was counted. survey.c counts, survey_findings.c says what it means. */
#ifndef NF_ENGINE_SURVEY_PARTS_H
#define NF_ENGINE_SURVEY_PARTS_H

#include "engine/survey.h"
#include "imap/folder.h"

struct survey_folder {
	bool done, failed;
	unsigned tries;
	char error[MODEL_ERROR]; /* failed: why */
	uint32_t uidvalidity, uidnext, exists;
	uint64_t listed;          /* lines that could be used */
	uint64_t messages, bytes; /* that will be moved */
	uint64_t deleted, drafts, sizeless, dateless, largest;
	uint64_t too_big, too_big_bytes, too_big_largest;
	uint32_t too_big_uid;
	struct mail_date too_big_date;
	char too_big_hint[sizeof((struct err *)0)->hint];
	int64_t cluster_at;
	uint64_t cluster_votes;
};

struct survey {
	struct survey_conf conf;
	char user[MODEL_TEXT], root[MODEL_TEXT];
	struct folder_list list;
	struct mapping *mappings;      /* owned; list.n */
	struct survey_folder *folders; /* owned; list.n; NULL: not listed yet */
	unsigned odd, quirks;
};

#endif
