/* Teaches libetpan to pass over untagged responses, FETCH items and STATUS items that it does not know, instead of giving up. */
#ifndef NF_IMAP_TOLERATE_H
#define NF_IMAP_TOLERATE_H

/* Once, before any thread starts: libetpan's list of extensions has no lock. */
void tolerate_register(void);

#endif
