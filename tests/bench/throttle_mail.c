#include "tests/bench/throttle_mail.h"

#include <math.h>

uint64_t random_start(uint64_t seed)
{
	uint64_t s = seed * 0x9e3779b97f4a7c15u + 0x1234567;
	for (int i = 0; i < 20; i++)
		random_next(&s);
	return s;
}

uint64_t random_next(uint64_t *s)
{
	uint64_t x = *s;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *s = x;
}

double random_share(uint64_t *s)
{
	return (double)(random_next(s) >> 11) / 9007199254740992.0;
}

double random_between(uint64_t *s, double low, double high)
{
	return low + (high - low) * random_share(s);
}

uint64_t mail_bytes(const struct mail_mix *m, uint64_t *s)
{
	double a = random_share(s), b = random_share(s), bytes = 0;
	double normal = sqrt(-2 * log(a > 0 ? a : 1e-12)) * cos(6.283185307 * b);
	switch (m->kind) {
	case MAIL_75K:
		bytes = 20000 * exp(1.625 * normal);
		break;
	case MAIL_SMALL:
		bytes = 5000 * exp(0.6 * normal);
		break;
	case MAIL_WIDE:
		bytes = 2000 * exp(a * log(12500));
		break;
	case MAIL_OTHER:
		bytes = m->median * exp(m->sigma * normal);
		break;
	}
	return bytes < 500 ? 500 : bytes > 25e6 ? 25000000 : (uint64_t)bytes;
}
