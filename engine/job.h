/* One mailbox being moved: a puller (the job's own thread) and its putters, joined by a queue. What the job's files share:
     job.c     signs in, walks the folders, ends in a state
     plan.c    lists the folders, and says where each goes
     route.c   the ways into the target mailbox
     enter.c   opens a folder on both sides, and notes what is new there from what was
     pass.c    the attempts at one folder
     walk.c    lists it and compares with the store
     haul.c    fetches the difference and hands it over
     intent.c  what the store is told of a message before it is sent
     putter.c  takes from the queue, puts, records what became of it (putter_*.c)
     doubt.c   settles what may or may not have arrived
     adopt.c   mail that was there before us
     refresh.c flags that changed at the source since
   Fields are the job thread's alone unless they say otherwise. */
#ifndef NF_ENGINE_JOB_H
#define NF_ENGINE_JOB_H

#include "engine/limit.h"
#include "engine/live.h"
#include "engine/login.h"
#include "engine/parcel.h"
#include "engine/route.h"
#include "engine/tries.h"
#include "engine/work.h"
#include "imap/folder.h"
#include "imap/map.h"
#include "imap/pull.h"

#include <stdatomic.h>

#define JOB_UPLOADS 4     /* most putters of one mailbox */
#define JOB_FIRST_TRIES 3 /* of a side that was not reached in this run yet: a person may be waiting to hear it */
#define JOB_TRIES 6       /* connection failures in a row before the mailbox fails for now */
#define JOB_ITEM_TRIES 3  /* puts of one message that lost the connection before it is refused */

/* A source folder on its way to a destination folder. */
struct route_folder {
	const struct folder *source;   /* borrowed from the job's list */
	const struct mapping *mapping; /* borrowed likewise */
	struct generation generation;
	struct dest_folder dest;
	bool opened;         /* generation, dest and refs are known in this run */
	bool entered;        /* messages could be put into dest in this run */
	int64_t found_epoch; /* where mail that adopt.c finds lies: before marks that are taken later than that */
	bool finished;       /* walked to its end in this run */
	bool failed;         /* could not be read; the rest of the mailbox goes on, the user ends as Failed */
	unsigned attempts;   /* at a walk, in this run */
	struct tries tries;  /* attempts that broke off */
	unsigned uidvalidity_changes; /* in this run */
	uint32_t suspect_uid;         /* was being fetched when the connection broke in cautious mode */
	unsigned suspect_strikes;
	unsigned cautious; /* so many messages are fetched one at a time yet */
	bool one_by_one;   /* what is handed over now is put one at a time: a connection was lost with it before */
	/* below: guarded by job.lock, putters use them */
	struct folder_ref refs[JOB_ROUTES]; /* path NULL: not asked for by that route */
	_Atomic unsigned marked;            /* bit r: route r has its mark here and may carry mail into it */
	_Atomic bool dead;                  /* cannot be written: its messages are set aside */
	_Atomic bool unfinished;            /* messages were placed, and their flags or keywords may not be stored */
	_Atomic unsigned doubts;            /* items left in doubt in this run */
	_Atomic int64_t doubt_at_ms;        /* mono clock of the last one */
	_Atomic int64_t put_at_ms;          /* mono clock of the last put by any route */
};

struct job {
	struct work *work; /* borrowed */
	struct user user;
	struct batch batch;
	struct source_login source_login;
	struct target_login target_login;
	struct stop *stop;                   /* owned; the mailbox's; borrowed by all it opens */
	struct conn *source;                 /* owned; NULL between connections */
	struct job_route routes[JOB_ROUTES]; /* in order of preference */
	unsigned n_routes;
	struct live *live; /* borrowed: the loop's */
	struct limits limits;
	struct folder_list list;
	struct mapping *mappings;     /* list.n of them */
	struct route_folder *folders; /* list.n of them */
	struct budget *
		memory; /* owned: within the work's; each message fetched holds its octets of it until it is done with */
	struct parcel_queue *queue; /* owned */
	struct putter_thread {
		struct job *job; /* borrowed */
		unsigned route;
		pthread_t thread;
	} putters[JOB_ROUTES * JOB_UPLOADS];
	unsigned n_putters;
	bool inherited_doubts; /* items in doubt from an earlier process */
	int64_t begun_ms;
	struct tries source_tries; /* since it last gave a message */
	int64_t failing_since_ms;  /* mono clock; of the first of its failures */
	bool source_reached;       /* signed in at least once in this run */
	struct err folder_error;   /* of the first folder that failed; kind NONE: none did */
	unsigned failed_folders;
	struct adopt *adopt; /* owned by adopt.c: what it keeps between messages */
	pthread_mutex_t lock;
	/* below: guarded by lock */
	struct err fatal;  /* what ends the mailbox; kind NONE: nothing yet */
	struct err spared; /* why a message is left for the next round; kind NONE: none is */
	enum live_side spared_by;
	unsigned round; /* of passes over all folders, in this run */
};

/* Runs a claimed user to the end of its pass and writes its state. Never fails by itself. stop: the run's or batch's token. live: what the
   loop says to it and sees of it; outlives the call. */
void job_run(struct work *work, const struct user *user, struct stop *stop, struct live *live);

/* --- between the files of the job --- */
/* The first error that ends the mailbox wins; wakes everything of the job. Any thread. */
void job_fail(struct job *j, const struct err *why);
bool job_is_over(struct job *j); /* failed or asked to stop; any thread */
/* Waits before the next try of something that failed (err), the longer the more often it did (the server's statement counts), unless stopped. Any
   thread. 0, err is empty; -1: stopped. */
int job_back_off(struct job *j, enum live_side side, const struct tries *t, struct err *err);
/* Sleeps so long unless stopped, and lets status tell why. Any thread. */
void job_sleep(struct job *j, enum live_side side, int64_t ms, const struct err *why);
/* Signed-in connections, opened if need be, with retries. */
int job_source(struct job *j, struct err *err);
/* The source was not as it should be: noted for the host, the ramp and the count of tries. */
void job_source_failed(struct job *j, const struct err *why);
/* After a step at the source failed (err): as route_again. */
int job_source_again(struct job *j, struct tries *t, struct err *err);
void job_drop_source(struct job *j);
/* The folder as a route knows it, in a copy that no other thread changes; folder_ref_done it. ERR_FOLDER: the route never found it. */
int job_copy_ref(struct job *j, struct route_folder *f, unsigned r, struct folder_ref *out, struct err *err);
void job_set_ref(struct job *j, struct route_folder *f, unsigned r, struct folder_ref *ref); /* takes it */
/* One message was refused by a side that is busy or hung up with a word, not for what it is. True: not for good yet; the next round over the folders,
   a while later, finds it again. Any thread. */
bool job_spares(struct job *j, struct route_folder *f, enum live_side side, const struct err *why);
/* The folder cannot be moved; the others go on, and the user ends as Failed. */
void job_fail_folder(struct job *j, struct route_folder *f, const struct err *why);

/* pass.c: 0: walked (or set aside with a note); -1: the mailbox cannot go on. */
int pass_folder(struct job *j, struct route_folder *f, struct err *err);
/* Fetches these messages (withdrawn by doubt.c), with their flags and keywords anew, and hands them to the putters. */
int pass_again(struct job *j, struct route_folder *f, struct pull_meta *v, size_t n, struct err *err);
/* enter.c: the part of enter_folder that follows when the source's folder is open. */
int enter_generation(struct job *j, struct route_folder *f, uint32_t uidvalidity, struct err *err);
/* enter.c: opens the source folder, compares its UIDVALIDITY and sees to its destination; ERR_CHANGED, ERR_FOLDER, LOST... */
int enter_folder(struct job *j, struct route_folder *f, struct pull **out, struct folder_state *state, struct err *err);

void *putter_main(void *thread); /* struct putter_thread */

/* Settles all that is in doubt in the folders of this run and sends again what did not arrive; the queue is drained before and after. A folder where
   that cannot be done fails by itself. */
int doubt_settle(struct job *j, struct err *err);
/* Items in doubt whose destination folder no source folder uses any more (renamed or removed there): found ones are recorded, the others forgotten. */
int doubt_settle_orphans(struct job *j, struct err *err);
/* Only looks, for one folder: found items are recorded, the others' intents are taken back. Waits until settle_after has passed. */
int doubt_settle_folder(struct job *j, struct route_folder *f, struct err *err);

/* By the lead route. *index: what is there already, at first touch. */
int adopt_index(struct job *j, struct route_folder *f, unsigned r, const struct folder_ref *ref, struct err *err);
/* A folder that was indexed in an earlier run: what has come there since, and is not ours as far as the store knows, by whatever route. So a state that
   lost its last writes, or was restored from an older copy, does not copy anything twice. mark: r's; known: messages that are accounted for. */
int adopt_arrivals(struct job *j, struct route_folder *f, unsigned r, const struct folder_ref *ref,
	const struct dest_mark *mark, uint64_t known, struct err *err);
/* *taken: the message was there before (or came over from an older generation) and is recorded as such. */
int adopt_mail(struct job *j, struct route_folder *f, const struct mail *m, bool *taken, struct err *err);

void adopt_done(struct job *j);

int refresh_flags(struct job *j, struct route_folder *f, const struct pull_meta *v, size_t n, struct err *err);

#endif
