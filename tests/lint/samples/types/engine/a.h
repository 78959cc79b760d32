/* A sample. */
#ifndef NF_X_H
#define NF_X_H
struct engine { sqlite3 *db; };
#endif
