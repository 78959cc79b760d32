/* Text for a PowerShell script that somebody else will run: whatever is put into it stays data. Pure. */
#ifndef NF_ENGINE_COMMAND_POWERSHELL_H
#define NF_ENGINE_COMMAND_POWERSHELL_H

#include "engine/base/buf.h"

/* text as an expression of printable ASCII: 'o''brien@x', or ('m' + [char]0xfc + 'ller@x'). So no quotation mark of any script ends it
   (PowerShell takes U+2018 to U+201B for one), and the script does not depend on how it is saved or pasted. ERR_USAGE: control
   characters, or octets that are no UTF-8; what names it in the error. */
int powershell_add_string(struct buf *out, const char *what, const char *text, struct err *err);
/* "# " before each line; other than printable ASCII becomes '?'. For what a person should read only. */
int powershell_add_comment(struct buf *out, const char *text, struct err *err);

#endif
