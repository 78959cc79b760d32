#include "engine/command/daily.h"

#include "engine/budget_day.h"
#include "throttle/zone.h"

#include <string.h>

int daily_save(struct cli *c, const struct endpoint *e, struct err *err)
{
	const char *of = option_get(&c->opt, "daily-of"), *zone = option_get(&c->opt, "daily-zone");
	struct day_rule rule;
	if (!of && !zone && !option_is_given(&c->opt, "daily-bytes"))
		return 0;
	if (budget_day_rule(c->store, e, &rule, err) ||
		cli_copy_option(c, "daily-zone", rule.zone, sizeof rule.zone, err))
		return -1;
	if (of)
		rule.of_host = !strcmp(of, "host");
	if ((of || zone) && store_day_rule_save(c->store, e->id, &rule, err))
		return -1;
	return store_deferred_release(c->store, e->id, err);
}

int daily_check(struct cli *c, struct err *err)
{
	const char *of = option_get(&c->opt, "daily-of"), *zone = option_get(&c->opt, "daily-zone");
	struct zone *z = NULL;
	if (of && strcmp(of, "host") != 0 && strcmp(of, "mailbox") != 0)
		return err_set(err, ERR_USAGE, "--daily-of is mailbox or host");
	if (zone && zone_load(&z, zone, err))
		return err_wrap(err, "--daily-zone");
	zone_free(&z);
	return 0;
}
