#include "engine/base/number.h"

#include <string.h>

size_t number_format(uint64_t v, unsigned least, char out[NUMBER_TEXT])
{
	char digits[NUMBER_TEXT];
	size_t n = 0;
	do {
		digits[sizeof(digits) - ++n] = (char)('0' + v % 10);
		v /= 10;
	} while (v || n < (least < NUMBER_TEXT ? least : NUMBER_TEXT - 1));
	memcpy(out, digits + sizeof(digits) - n, n);
	out[n] = '\0';
	return n;
}
