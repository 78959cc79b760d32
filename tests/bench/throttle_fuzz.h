/* Many random scenarios: where is the controller weak? */
#ifndef NF_BENCH_THROTTLE_FUZZ_H
#define NF_BENCH_THROTTLE_FUZZ_H

#include <stdbool.h>
#include <stdint.h>

/* Runs n scenarios drawn from the seeds from on, prints the spread of the results and the worst, or (list) each. 0, or 1: a ceiling was passed. */
int throttle_fuzz(uint64_t from, uint64_t n, bool list);

#endif
