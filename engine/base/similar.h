/* May one word have been typed for another? Pure. */
#ifndef NF_BASE_SIMILAR_H
#define NF_BASE_SIMILAR_H

#include <stdbool.h>

/* Without case: at most two letters apart (one in short words; two that changed places count as one), or one holds the other. */
bool similar_words(const char *typed, const char *known);

#endif
