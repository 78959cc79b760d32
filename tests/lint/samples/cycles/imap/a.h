/* A sample. */
#ifndef NF_X_H
#define NF_X_H
#include "imap/b.h"
#endif
