/* The simulation's chance: numbers that are the same for a seed, and the sizes of messages. */
#ifndef NF_BENCH_THROTTLE_MAIL_H
#define NF_BENCH_THROTTLE_MAIL_H

#include <stdint.h>

enum mail_kind {
	MAIL_75K,   /* log-normal, 75 KB on average, half of them below 20 KB */
	MAIL_SMALL, /* about 6 KB */
	MAIL_WIDE,  /* 2 KB to 25 MB, evenly by magnitude */
	MAIL_OTHER  /* log-normal with the median and sigma given */
};

struct mail_mix {
	enum mail_kind kind;
	double median, sigma;
};

uint64_t random_start(uint64_t seed);
uint64_t random_next(uint64_t *s);
double random_share(uint64_t *s); /* 0 to 1 */
double random_between(uint64_t *s, double low, double high);
/* 500 octets to 25 MB. */
uint64_t mail_bytes(const struct mail_mix *m, uint64_t *s);

#endif
