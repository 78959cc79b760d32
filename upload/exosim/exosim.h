/* What all parts of a running exosim share. Made by main before the servers start; read-only pointers afterwards. */
#ifndef NF_EXOSIM_EXOSIM_H
#define NF_EXOSIM_EXOSIM_H

#include "engine/base/stop.h"
#include "upload/exosim/fault.h"
#include "upload/exosim/grant.h"
#include "upload/exosim/wire.h"
#include "upload/exosim/world.h"

struct late;
struct graph_trace;

struct exosim {
	struct profile profile;
	struct world *world; /* owned by main, as all here */
	struct faults *faults;
	struct grants *grants;
	struct wire_tls *tls;
	struct stop *stop;
	struct late *late;
	struct graph_trace *trace; /* NULL: none */
	char *backend_host;
	unsigned backend_port;
	char *backend_master;
	struct secret *backend_password;
	char *spool_dir;
	bool german;
	uint64_t seed;
	atomic_uint sessions; /* connections open now */
	atomic_ullong connections;
};

#endif
