/* The folders of one mailbox, found without case as Exchange does, and what of them a query does not show yet. Any thread. */
#ifndef NF_EXOSIM_FOLDER_H
#define NF_EXOSIM_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

struct folders;

struct folders *folders_new(void);
void folders_free(struct folders **f);
/* What a name is compared by: levels trimmed (if asked), case folded, in UTF-8. NULL: an empty level, or nothing. Yours. raw: modified UTF-7. */
char *folder_key(const char *raw, bool trim);
/* The same name, trimmed, still raw. Yours. */
char *folder_trim(const char *raw);

/* Is the list as the backend has it, as far as we know? */
bool folders_are_known(struct folders *f);
void folders_forget(struct folders *f); /* something changed */
/* Another number after each change that was told of. */
unsigned folders_generation(struct folders *f);
/* Takes the list from the backend: n raw names. */
void folders_replace(struct folders *f, char *const *raw, size_t n);
/* The backend's own spelling of a folder. Yours; NULL: there is none of that key. */
char *folders_find(struct folders *f, const char *key);
/* For a new name: levels that exist are spelled as they are there. Yours. */
char *folders_spell_new(struct folders *f, const char *raw);

/* Not visible yet: everything from uid on, until until_ms. A later message there counts as hidden too. */
void folders_hide(struct folders *f, const char *key, uint32_t uid, int64_t now_ms, int64_t until_ms);
struct folder_lag {
	uint32_t uid;   /* first hidden */
	uint32_t count; /* how many */
};
/* false: everything is visible. */
bool folders_lag(struct folders *f, const char *key, int64_t now_ms, struct folder_lag *out);

#endif
