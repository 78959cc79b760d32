/* A batch's mailboxes against the inventory of the destination: does it exist, may it be written to, is there room. Pure. */
#ifndef NF_ENGINE_COMMAND_INVENTORY_CHECK_H
#define NF_ENGINE_COMMAND_INVENTORY_CHECK_H

#include "engine/command/inventory.h"
#include "engine/store/assess.h"

#define INVENTORY_KIND "inventory-" /* how the kinds of its findings begin */

/* Adds what is wrong to *a; each with what to do, as PowerShell where there is a line for it. */
void inventory_check(const struct inventory *i, const struct user *u, const struct target_row *t, struct assessment *a);
/* Users of the batch that are one mailbox at the destination: other[i] is another of them, or n. */
int inventory_same(const struct inventory *i, const struct user *users, size_t n, size_t *other, struct err *err);

#endif
