/* The only place that reads a clock. Whatever computes takes time as an argument. */
#ifndef NF_BASE_CLOCK_H
#define NF_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_mono_ms(void); /* never goes back; for durations and deadlines */
/* UTC seconds since 1970; for what is stored and shown. With NF_FAILPOINTS shifted by the seconds in the file NIGHTFERRY_CLOCK. */
int64_t clock_wall_s(void);
/* RFC 3339 "2026-11-23T21:57:35Z"; returns out. size >= 21. */
#define CLOCK_TEXT 24
const char *clock_format(int64_t wall_s, char *out, size_t size);
/* Pure calendar arithmetic, proleptic Gregorian, any year: UTC fields <-> seconds. */
struct clock_fields {
	int64_t year;
	int month, day, hour, minute, second;
}; /* month 1..12 */
void clock_split(int64_t wall_s, struct clock_fields *out);
int64_t clock_join(const struct clock_fields *in);
#define CLOCK_AFTER_9999 INT64_C(253402300800) /* the first moment of the year 10000 */
/* Sleeps at most ms; ends early when fd (or -1) becomes readable. */
void clock_sleep_ms(int64_t ms, int fd);

#endif
