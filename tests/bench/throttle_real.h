/* Scenarios with windows and volumes a tenth of the published, short enough for a run in real time of the real program against exosim
   (tests/bench/throttle_real.py), and what the simulation makes of them. */
#ifndef NF_BENCH_THROTTLE_REAL_H
#define NF_BENCH_THROTTLE_REAL_H

/* Prints them as JSON: limits, changes, the sizes of the requests in their order, what an oracle and ours get through. */
void throttle_real(unsigned seed);

#endif
