/* A SQLite VFS that stands for a power cut: what was written and not synced may be lost, in part or whole, in any order. Test builds only: it becomes
   the process's default VFS, so the store needs to know nothing of it. One scenario a process; single-process files. */
#ifndef NF_TESTS_POWER_VFS_H
#define NF_TESTS_POWER_VFS_H

#include <stdint.h>

/* Registers the VFS and makes it the default one. seed decides what of the unsynced writes survives. */
void power_vfs_start(uint32_t seed);
/* The power fails at the k-th write, truncation, sync or removal from now (from 1; before it is done): the files are left as the disk would hold them, and the
   process ends with POWER_EXIT. 0: never. */
#define POWER_EXIT 77
void power_vfs_cut_at(unsigned k);
/* From the k-th write on the disk is full (0: never). */
void power_vfs_full_at(unsigned k);
/* Steps so far: what cut_at counts. */
unsigned power_vfs_steps(void);
/* Makes every sync a lie: for a test of the test. */
void power_vfs_lie(void);

#endif
