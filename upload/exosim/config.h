/* What exosim is told: options and a JSON file. Read before anything starts. */
#ifndef NF_EXOSIM_CONFIG_H
#define NF_EXOSIM_CONFIG_H

#include "upload/exosim/exosim.h"

struct config {
	unsigned https_port, imaps_port, admin_port;
	const char *cert, *key; /* files; borrowed from argv */
	const char *client_id, *client_secret_file, *client_cert;
	bool help, verbose;
};

/* Fills conf and x (profile, world, faults, backend). ERR_USAGE. */
int config_read(struct config *conf, struct exosim *x, int argc, char **argv, struct err *err);
void config_help(FILE *to);

#endif
