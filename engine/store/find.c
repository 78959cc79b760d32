/* Where the state file is. */
#include "engine/store/parts.h"

#include <errno.h>
#include <pwd.h>
#include <unistd.h>

#define SYSTEM_STATE "/var/lib/nightferry/state.db"

/* "$XDG_STATE_HOME/nightferry/state.db"; an empty string when there is no home at all. */
static int personal_path(char *out, size_t size)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	struct passwd pw, *found = NULL;
	char room[4096];
	if (xdg && xdg[0] == '/')
		return snprintf(out, size, "%s/nightferry/state.db", xdg);
	if ((!home || home[0] != '/') && getpwuid_r(geteuid(), &pw, room, sizeof(room), &found) == 0 && found)
		home = found->pw_dir;
	if (!home || home[0] != '/') {
		out[0] = '\0';
		return 0;
	}
	return snprintf(out, size, "%s/.local/state/nightferry/state.db", home);
}

static int take(const char *found, const char *from, bool must_exist, char *path, size_t size, struct err *err)
{
	if ((size_t)snprintf(path, size, "%s", found) >= size)
		return err_set(err, ERR_USAGE, "the path of the state file is too long (%s)", from);
	if (!must_exist || access(path, F_OK) == 0 || errno != ENOENT)
		return 0; /* what else is wrong with it is told when it is opened */
	err_set(err, ERR_NOT_FOUND, "there is no state file: looked at %s (%s)", path, from);
	err_hint(err, "`nightferry endpoint create` begins one");
	return -1;
}

int store_find(const char *option, bool must_exist, char *path, size_t size, struct err *err)
{
	const char *environment = getenv("NIGHTFERRY_STATE");
	if (option)
		return option[0] ? take(option, "--state", must_exist, path, size, err)
				 : err_set(err, ERR_USAGE, "--state needs the path of a file");
	if (environment && environment[0])
		return take(environment, "NIGHTFERRY_STATE", must_exist, path, size, err);
	if (access(SYSTEM_STATE, R_OK | W_OK) == 0)
		return take(SYSTEM_STATE, "of the system", must_exist, path, size, err);
	bool is_there = errno == EACCES || access(SYSTEM_STATE, F_OK) == 0;
	char personal[MODEL_PATH];
	int n = personal_path(personal, sizeof(personal));
	if (n == 0 || (size_t)n >= sizeof(personal)) {
		err_set(err, ERR_USAGE, "there is no home folder to keep the state file in");
		err_hint(err, "name it with --state or NIGHTFERRY_STATE");
		return -1;
	}
	if (take(personal, "of this user", must_exist, path, size, err) == 0)
		return 0;
	err_set(err, ERR_NOT_FOUND,
		"there is no state file: --state and NIGHTFERRY_STATE are not given, " SYSTEM_STATE
		" %s, %s is not there",
		is_there ? "may not be read by this user" : "is not there", personal);
	err_hint(err, is_there ? "run as the user that the system's nightferry runs as, or name another file "
				 "with --state"
			       : "`nightferry endpoint create` begins one; or name it with --state");
	return -1;
}
