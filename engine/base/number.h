/* Numbers as text where printf would cost more than what it is for. Pure. */
#ifndef NF_BASE_NUMBER_H
#define NF_BASE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#define NUMBER_TEXT 21 /* any uint64_t, and the NUL */

/* Decimal, with at least `least` digits (at most 20); NUL-terminated; returns the length. */
size_t number_format(uint64_t v, unsigned least, char out[NUMBER_TEXT]);

#endif
