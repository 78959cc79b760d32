/* Calendar arithmetic in the civil calendar shifted to start in March, so that the leap day is the last of
   a year (400 years are 146,097 days). */
#include "engine/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int64_t clock_mono_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#ifdef NF_FAILPOINTS
/* Tests of windows and days do not wait for them: the file that NIGHTFERRY_CLOCK names holds seconds to add, and may change. */
static int64_t shift_s(void)
{
	const char *path = getenv("NIGHTFERRY_CLOCK");
	FILE *f = path ? fopen(path, "re") : NULL;
	char text[32] = "";
	if (!f)
		return 0;
	if (!fgets(text, sizeof text, f))
		text[0] = 0;
	fclose(f);
	return strtoll(text, NULL, 10);
}
#else
static int64_t shift_s(void)
{
	return 0;
}
#endif

int64_t clock_wall_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec + shift_s();
}

static int64_t floor_div(int64_t a, int64_t b)
{
	int64_t q = a / b;
	return a % b < 0 ? q - 1 : q;
}

void clock_split(int64_t wall_s, struct clock_fields *out)
{
	int64_t days = floor_div(wall_s, 86400);
	int rest = (int)(wall_s - days * 86400);
	out->hour = rest / 3600;
	out->minute = rest / 60 % 60;
	out->second = rest % 60;

	days += 719468; /* from 0000-03-01 to 1970-01-01 */
	int64_t era = floor_div(days, 146097);
	int64_t day_of_era = days - era * 146097;
	int64_t year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day = day_of_era - (365 * year + year / 4 - year / 100);
	int month = (int)((5 * day + 2) / 153); /* 0: March */
	out->day = (int)(day - (153 * month + 2) / 5) + 1;
	out->month = month < 10 ? month + 3 : month - 9;
	out->year = year + era * 400 + (out->month <= 2 ? 1 : 0);
}

int64_t clock_join(const struct clock_fields *in)
{
	int64_t year = in->year - (in->month <= 2 ? 1 : 0);
	int month = in->month > 2 ? in->month - 3 : in->month + 9;
	int64_t era = floor_div(year, 400);
	int64_t of_era = year - era * 400;
	int64_t day = (153 * month + 2) / 5 + in->day - 1;
	int64_t days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day - 719468;
	return days * 86400 + in->hour * 3600 + in->minute * 60 + in->second;
}

const char *clock_format(int64_t wall_s, char *out, size_t size)
{
	struct clock_fields f;
	clock_split(wall_s, &f);
	snprintf(out, size, "%04lld-%02d-%02dT%02d:%02d:%02dZ", (long long)f.year, f.month, f.day, f.hour, f.minute,
		f.second);
	return out;
}

void clock_sleep_ms(int64_t ms, int fd)
{
	int64_t end = clock_mono_ms() + ms;
	for (int64_t left = ms; left > 0; left = end - clock_mono_ms()) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int slice = left > 1000000 ? 1000000 : (int)left;
		int rc = poll(&p, 1, slice);
		if (rc > 0 || (rc < 0 && errno != EINTR && errno != EAGAIN))
			return;
	}
}
