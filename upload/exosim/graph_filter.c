/* $filter by recursive descent into a list in the order of evaluation. Precedence as OData: not, comparison, and, or. */
#include "upload/exosim/graph_query.h"

#include "engine/base/clock.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 16

struct scan {
	const char *at;
	struct filter *f;
	enum filter_fault fault;
	char *unknown;
	size_t size;
	unsigned depth;
};

enum value_type { TYPE_NONE, TYPE_TEXT, TYPE_DATE, TYPE_TRUTH };

static enum value_type type_of(enum message_property p)
{
	if (p == MP_MESSAGE_ID || p == MP_SUBJECT)
		return TYPE_TEXT;
	if (p == MP_RECEIVED || p == MP_CREATED || p == MP_MODIFIED || p == MP_SENT)
		return TYPE_DATE;
	return p == MP_READ || p == MP_DRAFT || p == MP_ATTACHMENTS ? TYPE_TRUTH : TYPE_NONE;
}

static void skip_blanks(struct scan *s)
{
	while (*s->at == ' ')
		s->at++;
}

/* A word of letters and digits, dots, dashes, colons and signs. */
static size_t word_length(const char *at)
{
	return strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:+-");
}

static bool take_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	skip_blanks(s);
	if (word_length(s->at) != n || strncmp(s->at, word, n) != 0)
		return false;
	s->at += n;
	return true;
}

static void fail(struct scan *s, enum filter_fault fault)
{
	if (s->fault == FILTER_GOOD)
		s->fault = fault;
}

static struct filter_node *add(struct scan *s, enum filter_node_kind kind)
{
	if (s->f->n == FILTER_NODES) {
		fail(s, FILTER_SYNTAX);
		return NULL;
	}
	s->f->node[s->f->n] = (struct filter_node){.kind = kind};
	return &s->f->node[s->f->n++];
}

/* 'a ''quoted'' text' */
static char *take_text(struct scan *s)
{
	char *out, *to;

	if (*s->at != '\'')
		return NULL;
	out = to = malloc(strlen(s->at) + 1);
	assert(out);
	for (s->at++; *s->at; s->at++) {
		if (*s->at == '\'' && *++s->at != '\'') {
			*to = '\0';
			return out;
		}
		*to++ = *s->at;
	}
	free(out);
	return NULL;
}

static bool take_op(struct scan *s, enum filter_op *op)
{
	static const char *const names[] = {"eq", "ne", "gt", "ge", "lt", "le"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (take_word(s, names[i])) {
			*op = (enum filter_op)i;
			return true;
		}
	return false;
}

static void take_value(struct scan *s, struct filter_node *node)
{
	size_t n;

	skip_blanks(s);
	switch (type_of(node->property)) {
	case TYPE_TEXT:
		node->text = take_text(s);
		if (!node->text)
			fail(s, FILTER_TYPE);
		break;
	case TYPE_DATE:
		n = word_length(s->at);
		if (!graph_time_parse(s->at, n, &node->number))
			fail(s, FILTER_TYPE);
		s->at += n;
		break;
	case TYPE_TRUTH:
		node->number = take_word(s, "true");
		if (!node->number && !take_word(s, "false"))
			fail(s, FILTER_TYPE);
		if (node->op != FILTER_EQ && node->op != FILTER_NE)
			fail(s, FILTER_TYPE);
		break;
	case TYPE_NONE:
		fail(s, FILTER_TYPE);
		break;
	}
}

static void comparison(struct scan *s)
{
	struct filter_node *node;
	enum message_property p;
	enum filter_op op;
	size_t n;

	skip_blanks(s);
	n = word_length(s->at);
	p = message_property_find(s->at, n);
	if (p == MESSAGE_PROPERTIES_END) {
		size_t part = n < s->size ? n : s->size - 1;

		if (s->fault == FILTER_GOOD) {
			memcpy(s->unknown, s->at, part);
			s->unknown[part] = '\0';
		}
		fail(s, n ? FILTER_PROPERTY : FILTER_SYNTAX);
		return;
	}
	s->at += n;
	if (!take_op(s, &op)) {
		fail(s, FILTER_SYNTAX);
		return;
	}
	node = add(s, FILTER_COMPARE);
	if (!node)
		return;
	node->property = p;
	node->op = op;
	take_value(s, node);
}

static void expression(struct scan *s);

static void unary(struct scan *s)
{
	if (s->fault != FILTER_GOOD || ++s->depth > DEPTH_MAX) {
		fail(s, FILTER_SYNTAX);
		return;
	}
	skip_blanks(s);
	if (take_word(s, "not")) {
		unary(s);
		add(s, FILTER_NOT);
	} else if (*s->at == '(') {
		s->at++;
		expression(s);
		skip_blanks(s);
		if (*s->at == ')')
			s->at++;
		else
			fail(s, FILTER_SYNTAX);
	} else {
		comparison(s);
	}
	s->depth--;
}

static void conjunction(struct scan *s)
{
	unary(s);
	while (s->fault == FILTER_GOOD && take_word(s, "and")) {
		unary(s);
		add(s, FILTER_AND);
	}
}

static void expression(struct scan *s)
{
	conjunction(s);
	while (s->fault == FILTER_GOOD && take_word(s, "or")) {
		conjunction(s);
		add(s, FILTER_OR);
	}
}

enum filter_fault filter_parse(struct filter *f, const char *text, char *unknown, size_t size)
{
	struct scan s = {.at = text, .f = f, .unknown = unknown, .size = size};

	filter_done(f);
	unknown[0] = '\0';
	expression(&s);
	skip_blanks(&s);
	if (*s.at)
		fail(&s, FILTER_SYNTAX);
	if (s.fault != FILTER_GOOD)
		filter_done(f);
	return s.fault;
}

void filter_done(struct filter *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->node[i].text);
	f->n = 0;
}

static bool holds(enum filter_op op, int order)
{
	switch (op) {
	case FILTER_EQ:
		return order == 0;
	case FILTER_NE:
		return order != 0;
	case FILTER_GT:
		return order > 0;
	case FILTER_GE:
		return order >= 0;
	case FILTER_LT:
		return order < 0;
	case FILTER_LE:
		return order <= 0;
	}
	return false;
}

static bool compare(const struct filter_node *n, bool no_case, struct filter_value v)
{
	if (!n->text)
		return holds(n->op, (v.number > n->number) - (v.number < n->number));
	if (!v.text)
		return n->op == FILTER_NE;
	return holds(n->op, no_case ? strcasecmp(v.text, n->text) : strcmp(v.text, n->text));
}

bool filter_matches(const struct filter *f, bool no_case,
	struct filter_value (*value)(const void *row, enum message_property p), const void *row)
{
	bool stack[FILTER_NODES];
	size_t top = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct filter_node *n = &f->node[i];

		switch (n->kind) {
		case FILTER_COMPARE:
			stack[top++] = compare(n, no_case, value(row, n->property));
			break;
		case FILTER_AND:
			top--;
			stack[top - 1] = stack[top - 1] && stack[top];
			break;
		case FILTER_OR:
			top--;
			stack[top - 1] = stack[top - 1] || stack[top];
			break;
		case FILTER_NOT:
			stack[top - 1] = !stack[top - 1];
			break;
		}
	}
	return top == 0 || stack[0];
}

uint64_t filter_properties(const struct filter *f)
{
	uint64_t set = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->node[i].kind == FILTER_COMPARE)
			set |= (uint64_t)1 << f->node[i].property;
	return set;
}

const char *filter_message_id(const struct filter *f)
{
	const char *found = NULL;

	for (size_t i = 0; i < f->n; i++) {
		if (f->node[i].kind == FILTER_OR || f->node[i].kind == FILTER_NOT)
			return NULL;
		if (f->node[i].kind == FILTER_COMPARE && f->node[i].property == MP_MESSAGE_ID &&
			f->node[i].op == FILTER_EQ)
			found = f->node[i].text;
	}
	return found;
}
