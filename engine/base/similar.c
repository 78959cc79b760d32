#include "engine/base/similar.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define LONGEST 128 /* octets of a word that count */

static bool are_same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Optimal string alignment: letters inserted, dropped, changed, or swapped with their neighbour. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][LONGEST + 1], n = strnlen(b, LONGEST), m = strnlen(a, LONGEST);
	for (size_t j = 0; j <= n; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= m; i++) {
		size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t least = above[j - 1] + !are_same(a[i - 1], b[j - 1]);
			size_t step = (row[j - 1] < above[j] ? row[j - 1] : above[j]) + 1;
			least = step < least ? step : least;
			bool swapped = i > 1 && j > 1 && are_same(a[i - 1], b[j - 2]) && are_same(a[i - 2], b[j - 1]);
			if (swapped && before[j - 2] + 1 < least)
				least = before[j - 2] + 1;
			row[j] = least;
		}
	}
	return rows[m % 3][n];
}

static bool holds(const char *whole, const char *part)
{
	size_t n = strlen(part);
	for (; *whole; whole++) {
		if (strncasecmp(whole, part, n) == 0)
			return true;
	}
	return false;
}

bool similar_words(const char *typed, const char *known)
{
	size_t n = strlen(typed);
	return n > 0 && *known &&
	       (distance(typed, known) <= (n > 4 ? 2 : 1) || holds(known, typed) || holds(typed, known));
}
