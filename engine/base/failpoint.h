/* Places where a test kills the process or makes a step fail; compiled to nothing without NF_FAILPOINTS. One table. */
#ifndef NF_BASE_FAILPOINT_H
#define NF_BASE_FAILPOINT_H

#define FAILPOINTS(X) \
	X(PULL_BEFORE_FETCH, "pull-before-fetch") \
	X(PULL_AFTER_FETCH, "pull-after-fetch") \
	X(FOLDER_BEFORE_CREATE, "folder-before-create") \
	X(FOLDER_AFTER_CREATE, "folder-after-create") \
	X(MARK_BEFORE_SAVE, "mark-before-save") \
	X(MARK_AFTER_SAVE, "mark-after-save") \
	X(INTEND_BEFORE_COMMIT, "intend-before-commit") \
	X(INTEND_AFTER_COMMIT, "intend-after-commit") \
	X(PUT_BEFORE_FIRST_BYTE, "put-before-first-byte") \
	X(PUT_MID_LITERAL, "put-mid-literal") \
	X(PUT_AFTER_LAST_BYTE, "put-after-last-byte") \
	X(PUT_AFTER_ANSWER, "put-after-answer") \
	X(PLACED_BEFORE_COMMIT, "placed-before-commit") \
	X(PLACED_AFTER_COMMIT, "placed-after-commit") \
	X(FINISH_BEFORE_FLAGS, "finish-before-flags") \
	X(FINISH_AFTER_FLAGS, "finish-after-flags") \
	X(FINISH_AFTER_COMMIT, "finish-after-commit") \
	X(SETTLE_BEFORE_LOOK, "settle-before-look") \
	X(SETTLE_AFTER_LOOK, "settle-after-look") \
	X(SETTLE_AFTER_COMMIT, "settle-after-commit") \
	X(ADOPT_BEFORE_COMMIT, "adopt-before-commit") \
	X(ADOPT_AFTER_COMMIT, "adopt-after-commit") \
	X(USER_BEFORE_FINISH, "user-before-finish")

enum failpoint {
#define X(k, n) FP_##k,
	FAILPOINTS(X)
#undef X
		FAILPOINTS_END
};

/* With NF_FAILPOINTS: reads NIGHTFERRY_FAILPOINT="name[:count]" once; at the count-th (default 1st) hit of that name the process
   kills itself with SIGKILL (its parent first where NIGHTFERRY_FAILPOINT_PARENT is set). NIGHTFERRY_FAILPOINT_LOG=F appends each name the first time it is passed, so that the harness
   sees which points were never hit. */
#ifdef NF_FAILPOINTS
void failpoint_hit(enum failpoint p);
#else
static inline void failpoint_hit(enum failpoint p)
{
	(void)p;
}
#endif

#endif
