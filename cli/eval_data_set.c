// eval_data_set.c - `gvhmr eval 3dpw|emdb1|emdb2|rich`: every sequence of a data set and the total.
#include "base/file.h"
#include "base/json_build.h"
#include "cli.h"
#include "eval.h"
#include "pipeline/models.h"
#include "pipeline/protocol.h"

#include <stdlib.h>
#include <string.h>

typedef struct options {
    const char *data, *bodies, *regressors, *model, *only, *json;
    bool no_flip;
    long heads;
} options;

static bool wanted(const char *list, const char *name) {
    size_t n = strlen(name);
    for (const char *p = list; p && (p = strstr(p, name)); p += n)
        if ((p == list || p[-1] == ',') && (p[n] == 0 || p[n] == ',')) return true;
    return !list;
}

static gv_status run(gv_dataset_kind kind, const options *o, gv_network *net, json_t **list, gv_score *total,
                     gv_error *err) {
    gv_dataset *d = NULL;
    gv_protocol p = {0};
    int done = 0;
    bool flip = !o->no_flip && kind != GV_RICH;
    gv_status s = gv_dataset_open(&d, kind, o->data, err);
    if (!s) s = gv_protocol_open(&p, kind, o->bodies, o->regressors, err);
    if (!s) gv_eval_header("sequence");
    for (int i = 0; !s && i < gv_dataset_count(d); i++) {
        gv_dataset_sequence q;
        gv_score one = {0};
        if (!wanted(o->only, gv_dataset_name(d, i))) continue;
        if ((s = gv_dataset_read(&q, d, i, flip, gv_network_has_images(net), err))) break;
        if (!(s = gv_protocol_run(&one, &p, net, &q, err))) {
            gv_eval_row(q.name, &one);
            gv_score_add(total, &one);
            json_t *e = gv_eval_json(&one);
            gv_json_set(&e, "sequence", gv_json_text(q.name));
            gv_json_append(list, e);
            done++;
        }
        gv_dataset_sequence_free(&q);
    }
    if (!s && !done) s = gv_fail(err, GV_ERR_EMPTY, "%s: no sequence of the names asked for (%s)", o->data, o->only);
    gv_protocol_close(&p);
    gv_dataset_close(d);
    return s;
}

static gv_status evaluate(gv_dataset_kind kind, const options *o, gv_error *err) {
    gv_network *net = NULL;
    char *found = NULL;
    gv_score total = {0};
    gv_status s = GV_OK;
    if (!(found = gv_network_find(o->model, err))) s = GV_ERR_MISSING;
    if (!s) s = gv_network_open(&net, found, (int)o->heads, GV_PRECISION_F32, NULL, err);
    json_t *root = json_object(), *list = json_array();
    if (!s) s = run(kind, o, net, &list, &total, err);
    if (!s) {
        gv_eval_row("all", &total);
        gv_json_set(&root, "sequences", json_incref(list));
        gv_json_set(&root, "all", gv_eval_json(&total));
        s = gv_eval_write(o->json, root, err);
    }
    json_decref(list);
    json_decref(root);
    gv_network_close(net);
    free(found);
    return s;
}

int gv_eval_data_set(int argc, char **argv) {
    enum { DATA = 256, BODIES, REGRESSORS, MODEL, HEADS, NO_FLIP, ONLY, JSON };
    static const struct option table[] = {
        {"data", 1, 0, DATA},   {"bodies", 1, 0, BODIES}, {"regressors", 1, 0, REGRESSORS},
        {"model", 1, 0, MODEL}, {"heads", 1, 0, HEADS},   {"no-flip", 0, 0, NO_FLIP},
        {"only", 1, 0, ONLY},   {"json", 1, 0, JSON},     {0}};
    static const char *const kinds[] = {
        [GV_3DPW] = "3dpw", [GV_EMDB1] = "emdb1", [GV_EMDB2] = "emdb2", [GV_RICH] = "rich"};
    int kind = 0;
    options o = {0};
    while (kind < GV_RICH && strcmp(kinds[kind], argv[0])) kind++;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        const char **text[] = {&o.data, &o.bodies, &o.regressors, &o.model, NULL, NULL, &o.only, &o.json};
        if (c == HEADS) {
            if (!gv_cli_int("eval", "--heads", optarg, 1, 64, &o.heads)) return 2;
        } else if (c == NO_FLIP)
            o.no_flip = true;
        else if (c >= DATA && c <= JSON)
            *text[c - DATA] = optarg;
        else
            return gv_cli_usage("eval", "\"%s\" is unknown or lacks its value", argv[optind - 1]);
    }
    if (!o.data || !o.bodies || !o.regressors || optind != argc)
        return gv_cli_usage("eval", "%s needs --data, --bodies and --regressors, and nothing else", argv[0]);
    gv_error err = {0};
    return evaluate((gv_dataset_kind)kind, &o, &err) ? gv_cli_fail(&err) : 0;
}
