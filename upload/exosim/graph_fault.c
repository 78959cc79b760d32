#include "upload/exosim/graph_fault.h"

#include "engine/base/clock.h"
#include "upload/exosim/args.h"
#include "upload/exosim/graph_limit.h"

#include <assert.h>

/* The mailbox's folder with all in it, as if somebody had removed it this moment. */
static void remove_folder(struct graph_call *g, const char *folder)
{
	char *quoted = malloc(2 * strlen(folder) + 3), command[2200];
	struct err err = ERR_INIT;

	assert(quoted);
	args_quote(quoted, folder);
	snprintf(command, sizeof(command), "DELETE %.2100s", quoted);
	free(quoted);
	if (graph_link(g, NULL) == 0 && store_close(g->link, &err) == 0 &&
		store_run(g->link, command, NULL, 0, NULL, NULL, NULL, &err) < 0 && err.kind == ERR_LOST)
		g->is_link_lost = true;
	/* What else the pool has open there would not notice. */
	folders_forget(g->box->folders);
	free(g->out->body);
	g->out->body = NULL;
}

static bool put_error(struct graph_call *g, const char *text)
{
	char *end, code[80] = "";
	unsigned long status = strtoul(text, &end, 10);
	int n = 0;

	if (status < 200 || status > 599)
		status = 503;
	sscanf(end, " %79s%n", code, &n);
	end += n;
	graph_error_put_text(g->out, (unsigned)status, code, end + strspn(end, " "));
	g->retry_after_ms = g->fault.ms ? g->fault.ms : -1;
	return true;
}

static bool put_throttle(struct graph_call *g)
{
	graph_refuse(g, GE_THROTTLED, *g->fault.text ? g->fault.text : "MailboxConcurrency");
	g->retry_after_ms = g->fault.ms ? g->fault.ms : -1;
	graph_limit_fence(g->box, g->bearer.app, clock_mono_ms() + g->fault.ms);
	return true;
}

static void wait_ms(struct graph_call *g, int64_t ms)
{
	clock_sleep_ms(ms, stop_fd(g->x->stop, STOP_NOW));
}

bool graph_fault_before(struct graph_call *g, const char *folder)
{
	switch ((unsigned)g->fault.kind) {
	case FAULT_GRAPH_DROP:
		g->out->drop = true;
		return true;
	case FAULT_GRAPH_HANG:
		wait_ms(g, g->fault.ms ? g->fault.ms : 60000);
		g->out->drop = true;
		return true;
	case FAULT_GRAPH_SLOW:
		wait_ms(g, g->fault.ms);
		return false;
	case FAULT_GRAPH_NOTHING:
		graph_error_put_text(g->out, 200, NULL, NULL);
		return true;
	case FAULT_GRAPH_REVOKED:
		world_revoke(g->x->world, g->bearer.app->id);
		graph_refuse(g, GE_TOKEN_REVOKED, NULL);
		return true;
	case FAULT_GRAPH_FOLDER_GONE:
		if (folder)
			remove_folder(g, folder);
		return false;
	case FAULT_GRAPH_QUOTA:
		graph_refuse(g, GE_QUOTA, NULL);
		return true;
	case FAULT_GRAPH_THROTTLE:
		return put_throttle(g);
	case FAULT_GRAPH_ERROR:
		return put_error(g, g->fault.text);
	default: /* those of the answer, and those that are for whoever stores */
		return false;
	}
}

void graph_fault_after(struct graph_call *g)
{
	switch ((unsigned)g->fault.kind) {
	case FAULT_GRAPH_DROP_AFTER:
	case FAULT_GRAPH_LATE:
		g->out->drop = true;
		break;
	case FAULT_GRAPH_SLOW_BODY:
		g->out->rate = g->fault.bytes ? g->fault.bytes : 1;
		break;
	case FAULT_GRAPH_CUT:
		g->out->is_cut = true;
		g->out->cut = g->fault.bytes;
		break;
	case FAULT_GRAPH_GARBAGE:
		free(g->out->body);
		g->out->body = strdup(*g->fault.text ? g->fault.text : "<html>{\"id\": \xff\xfe no JSON");
		g->out->body_len = 0;
		break;
	case FAULT_GRAPH_HUGE:
		g->out->more = g->fault.bytes ? g->fault.bytes : (uint64_t)256 << 20;
		break;
	default:
		break;
	}
}
