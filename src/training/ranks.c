#include "training/ranks.h"

#include <stdlib.h>

static int started_as_one_of(void) { // Open MPI, MPICH and Slurm's own launcher say so
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"};
    for (int i = 0; i < 3; i++) {
        const char *text = getenv(names[i]);
        if (text) return i == 2 ? 2 : atoi(text);
    }
    return 1;
}

#ifdef GV_HAVE_MPI
#include <mpi.h>
#include <time.h>

struct gv_ranks {
    int count, index, sums;
    MPI_Request request[GV_RANKS_SUMS];
};

gv_status gv_ranks_begin(gv_ranks **out, gv_error *err) {
    *out = NULL;
    if (started_as_one_of() < 2) return GV_OK;
    gv_ranks *r = calloc(1, sizeof *r);
    if (!r) return gv_fail(err, GV_ERR_MEMORY, "no memory for MPI");
    int given; // ours are calls from one thread; OpenMP's threads run beside it
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given) != MPI_SUCCESS) {
        free(r);
        return gv_fail(err, GV_ERR_INTERNAL, "MPI does not start");
    }
    MPI_Comm_size(MPI_COMM_WORLD, &r->count);
    MPI_Comm_rank(MPI_COMM_WORLD, &r->index);
    *out = r;
    return GV_OK;
}

void gv_ranks_end(gv_ranks *r, int well) {
    if (!r) return;
    if (!well) return; // main says why and leaves with a status; without MPI_Finalize mpirun then ends the others
    MPI_Finalize();
    free(r);
}

int gv_ranks_count(const gv_ranks *r) {
    return r ? r->count : 1;
}

int gv_ranks_index(const gv_ranks *r) {
    return r ? r->index : 0;
}

void gv_ranks_sum(gv_ranks *r, float *x, int64_t n) {
    if (!r) return;
    int done;
    MPI_Iallreduce(MPI_IN_PLACE, x, (int)n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD, &r->request[r->sums++]);
    MPI_Testall(r->sums, r->request, &done, MPI_STATUSES_IGNORE);
}

// MPI itself waits by spinning, which takes the core from whoever is waited for.
void gv_ranks_wait(gv_ranks *r) {
    if (!r) return;
    for (int done = 0; !done;) {
        MPI_Testall(r->sums, r->request, &done, MPI_STATUSES_IGNORE);
        if (!done) nanosleep(&(struct timespec){0, 50000}, NULL);
    }
    r->sums = 0;
}

void gv_ranks_sum_now(gv_ranks *r, double *x, int n) {
    if (!r) return;
    MPI_Request request;
    MPI_Iallreduce(MPI_IN_PLACE, x, n, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD, &request);
    for (int done = 0; !done;) {
        MPI_Test(&request, &done, MPI_STATUS_IGNORE);
        if (!done) nanosleep(&(struct timespec){0, 50000}, NULL);
    }
}

void gv_ranks_share(gv_ranks *r, void *bytes, int n) {
    if (r) MPI_Bcast(bytes, n, MPI_BYTE, 0, MPI_COMM_WORLD);
}

#else

gv_status gv_ranks_begin(gv_ranks **out, gv_error *err) {
    *out = NULL;
    if (started_as_one_of() < 2) return GV_OK;
    return gv_fail(err, GV_ERR_ARGUMENT,
                   "started as one of several ranks, but built without MPI (meson setup -Dmpi=enabled)");
}

void gv_ranks_end(gv_ranks *r, int well) {
    (void)r, (void)well;
}

int gv_ranks_count(const gv_ranks *r) {
    (void)r;
    return 1;
}

int gv_ranks_index(const gv_ranks *r) {
    (void)r;
    return 0;
}

void gv_ranks_sum(gv_ranks *r, float *x, int64_t n) {
    (void)r, (void)x, (void)n;
}

void gv_ranks_wait(gv_ranks *r) {
    (void)r;
}

void gv_ranks_sum_now(gv_ranks *r, double *x, int n) {
    (void)r, (void)x, (void)n;
}

void gv_ranks_share(gv_ranks *r, void *bytes, int n) {
    (void)r, (void)bytes, (void)n;
}
#endif
