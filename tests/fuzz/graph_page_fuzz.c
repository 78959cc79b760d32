/* What Graph answers with 200: pages of folders and of messages, a user, a mailbox. The first octet chooses the reader. */
#include "upload/graph_json.h"
#include "upload/graph_url.h"

#include "engine/base/utf8.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_id(const char *id)
{
	size_t n = strnlen(id, GRAPH_ID);
	assert(n > 0 && n < GRAPH_ID);
	for (size_t i = 0; i < n; i++)
		assert(id[i] > ' ' && id[i] <= '~');
}

static void check_text(const char *s, size_t most)
{
	assert(s && strlen(s) <= most && utf8_is_valid(s, strlen(s)));
}

static void check_page(const struct graph_page *p)
{
	for (size_t i = 0; p->folders && i < p->n; i++) {
		check_id(p->folders[i].id);
		check_text(p->folders[i].name, 4096);
	}
	for (size_t i = 0; p->messages && i < p->n; i++) {
		const struct graph_message *m = &p->messages[i];
		check_id(m->id);
		check_text(m->print.message_id, FINGERPRINT_FIELD);
		check_text(m->print.date, FINGERPRINT_FIELD);
		check_text(m->print.from, FINGERPRINT_FIELD);
		check_text(m->print.subject, FINGERPRINT_FIELD);
	}
	if (p->next && graph_url_is_ours("https://graph.example", p->next))
		assert(strncmp(p->next + strlen("https://graph.example"), "@", 1) != 0 && !strchr(p->next, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct graph_page page = {0};
	struct graph_message message = {0};
	struct graph_folder folder = {0};
	char id[GRAPH_ID], address[64];
	if (size == 0)
		return 0;
	size_t n = size - 1;
	char *body = malloc(n + 1); /* as a response's body is: writable, and a NUL behind it */
	memcpy(body, data + 1, n);
	body[n] = '\0';
	int rc = -1;
	switch (data[0] % 6) {
	case 0:
		rc = graph_json_folders(body, n, &page, &err);
		break;
	case 1:
		rc = graph_json_messages(body, n, &page, &err);
		break;
	case 2:
		rc = graph_json_message(body, n, &message, &err);
		break;
	case 3:
		rc = graph_json_folder(body, n, &folder, &err);
		break;
	case 4:
		rc = graph_json_user(body, n, id, address, sizeof(address), &err);
		assert(strlen(address) < sizeof(address));
		break;
	default:
		rc = graph_json_mailbox(body, n, id, &err);
		break;
	}
	assert(rc == 0 || err.kind == ERR_PROTOCOL);
	check_page(&page);
	graph_page_done(&page);
	graph_message_done(&message);
	graph_folder_done(&folder);
	free(body);
	return 0;
}
