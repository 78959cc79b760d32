/* Inside upload/canon only: GMime's view of a spool, and a stream that digests what is written to it. */
#ifndef NF_UPLOAD_CANON_STREAM_H
#define NF_UPLOAD_CANON_STREAM_H

#include "engine/base/spool.h"

#include <gmime/gmime.h>
#include <stdbool.h>

/* Reads a spool that outlives the stream and all its substreams. *failed (borrowed as long) is filled when a read fails. */
GMimeStream *canon_source_new(const struct spool *spool, struct err *failed);

/* Digests octets with SHA-256; text: line ends become LF, blanks at line ends and empty lines at the end are dropped. */
GMimeStream *canon_sink_new(bool text);
/* The digest of all that was written; the sink takes no more. */
void canon_sink_finish(GMimeStream *sink, uint8_t out[32]);

#endif
