/* What an administrator exported of the destination's mailboxes with the PowerShell that `target inventory` prints. The format, agreed
   between that command and `batch assess --inventory`: a CSV (Export-Csv -NoTypeInformation -Encoding utf8) with the columns

     EmailAddress UserPrincipalName ObjectId Type ProxyAddresses Licensed QuotaBytes UsedBytes ImapEnabled MaxReceiveSizeBytes
     LitigationHold RetentionHold RecoverableItemsQuotaBytes RecoverableItemsUsedBytes ArchiveStatus

   in any order and case; only EmailAddress must be there, unknown ones are passed over, an empty field is not known.
   ProxyAddresses: separated by blanks, semicolons, commas or bars, as Exchange shows them ("SMTP:ann@x smtp:a@x"). Truth: True, False, Yes,
   No, 1, 0, Enabled, Disabled. Sizes: octets, or as Exchange prints them: "50 GB (53,687,091,200 bytes)", "36 MB", "Unlimited".
   UTF-8 with or without BOM, UTF-16, Windows-1252; commas or semicolons; a first line "#TYPE ..." is passed over. */
#ifndef NF_ENGINE_COMMAND_INVENTORY_H
#define NF_ENGINE_COMMAND_INVENTORY_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum inventory_truth { TRUTH_UNKNOWN, TRUTH_NO, TRUTH_YES };
#define INVENTORY_UNKNOWN (UINT64_MAX - 1)
#define INVENTORY_UNLIMITED UINT64_MAX

struct inventory_row { /* all strings borrowed from the inventory; "" not known */
	const char *address, *principal, *object_id, *type, *archive;
	enum inventory_truth licensed, imap_enabled, litigation_hold, retention_hold;
	uint64_t quota, used, max_receive, recoverable_quota, recoverable_used; /* or one of the two above */
};

struct inventory;

/* ERR_USAGE names line and column of what cannot be read. At most 500,000 rows and 256 MB. */
int inventory_load(struct inventory **out, const char *path, struct err *err);
int inventory_parse(struct inventory **out, const char *text, size_t n, struct err *err);
void inventory_free(struct inventory **i);
size_t inventory_count(const struct inventory *i);
/* By address, principal name or any proxy address, without case. *alias: it was found under another address than its own. NULL: none. */
const struct inventory_row *inventory_find(const struct inventory *i, const char *address, bool *alias);
/* "50 GB (53,687,091,200 bytes)" -> 53687091200; false: no size. */
bool inventory_parse_size(const char *text, uint64_t *out);

#endif
