/* Folder names: the decoding takes anything and gives valid UTF-8; what can be encoded comes back the
   same. */
#include "imap/name.h"

#include "engine/base/utf8.h"
#include "imap/fold.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	bool exact, again_exact;
	char *raw = strndup((const char *)data, size), *encoded = NULL;
	char *utf8 = name_decode(raw, &exact);
	assert(utf8 && utf8_is_valid(utf8, strlen(utf8)));
	if (name_encode(utf8, &encoded, &err) == 0) {
		char *again = name_decode(encoded, &again_exact);
		assert(strcmp(again, utf8) == 0 && again_exact);
		assert(exact == (strcmp(encoded, raw) == 0));
		free(again);
	} else {
		assert(!exact && err.kind == ERR_FOLDER);
	}
	char *folded = fold_name(raw), *twice = fold_name(folded);
	assert(utf8_is_valid(folded, strlen(folded)));
	free(twice);
	free(folded);
	free(encoded);
	free(utf8);
	free(raw);
	return 0;
}
