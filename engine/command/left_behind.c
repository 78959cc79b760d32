#include "engine/command/left_behind.h"

bool left_behind_any(const struct left_behind *l)
{
	return l->folders || l->patterns;
}

const char *left_behind_text(const struct left_behind *l, char *out, size_t size)
{
	size_t n = 0;
	out[0] = '\0';
	if (l->folders)
		n = (size_t)snprintf(out, size, "%llu folder%s with messages not moved, for what %s",
			(unsigned long long)l->folders, l->folders == 1 ? "" : "s",
			l->folders == 1 ? "its name says" : "their names say");
	if (l->patterns == 1 && n < size)
		snprintf(out + n, size - n, "%sa pattern of --include matches no folder", n ? "; " : "");
	else if (l->patterns && n < size)
		snprintf(out + n, size - n, "%spatterns of --include match no folder, %llu times", n ? "; " : "",
			(unsigned long long)l->patterns);
	return out;
}
