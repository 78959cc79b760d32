/* The simulation's plot: one panel a scenario, one line a policy, bytes (or requests) a minute. */
#ifndef NF_BENCH_THROTTLE_PLOT_H
#define NF_BENCH_THROTTLE_PLOT_H

#include "tests/bench/throttle_world.h"

#include <stdio.h>

void plot_begin(FILE *f, size_t panels);
void plot_panel(FILE *f, size_t panel, const struct scenario *s, const struct outcome out[POLICIES]);
void plot_end(FILE *f);

#endif
