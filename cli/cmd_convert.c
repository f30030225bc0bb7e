// gvhmr convert: the network's weights from a checkpoint into a small safetensors file.
#include "cli.h"
#include "formats/tensors.h"
#include "network/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "gvhmr convert IN -o OUT.safetensors - keep the network's weights of a GVHMR checkpoint\n\n"
    "  -o, --output FILE   where to write (required)\n"
    "      --dtype TYPE    f32 (default), bf16 or f16\n"
    "      --heads N       attention heads, which no checkpoint holds (default: as IN says, else 8)\n\n"
    "Optimiser state and everything else but the weights is left out; names lose \"pipeline.denoiser3d.\".\n\n"
    "example: gvhmr convert gvhmr_siga24_release.ckpt -o gvhmr.safetensors --dtype bf16\n";

typedef struct copy { // all weights, in the order of the table
    gv_weight_spec *table;
    gv_tensor_view *views;
    float **data;
    int count;
} copy;

static void copy_free(copy *c) {
    for (int i = 0; c->data && i < c->count; i++) free(c->data[i]);
    free(c->data);
    free(c->views);
    free(c->table);
}

static gv_status copy_weights(copy *c, gv_weights *w, gv_error *err) {
    int width = gv_weights_width(w), layers = gv_weights_layers(w), images = gv_weights_with_images(w);
    int n = gv_network_weight_table(NULL, 0, width, layers, images);
    c->table = calloc((size_t)n, sizeof *c->table);
    c->views = calloc((size_t)n, sizeof *c->views);
    c->data = calloc((size_t)n, sizeof *c->data);
    if (!c->table || !c->views || !c->data) return gv_fail(err, GV_ERR_MEMORY, "no memory for %d tensors", n);
    c->count = n;
    gv_network_weight_table(c->table, n, width, layers, images);
    for (int i = 0; i < n; i++) {
        const gv_weight_spec *s = &c->table[i];
        gv_status status = gv_weights_take(&c->data[i], w, err, s->name, 0);
        if (status != GV_OK) return status;
        c->views[i] = (gv_tensor_view){.name = s->name, .data = c->data[i], .ndim = s->ndim};
        for (int d = 0; d < s->ndim; d++) c->views[i].shape[d] = s->shape[d];
    }
    return GV_OK;
}

static gv_status convert(const char *in, const char *out, gv_dtype dtype, int heads, gv_error *err) {
    copy c = {0};
    gv_weights *w = NULL;
    gv_status status = gv_weights_open(&w, in, err);
    if (status != GV_OK) return status;
    char head_text[16];
    if (!heads) heads = gv_weights_heads(w);
    snprintf(head_text, sizeof head_text, "%d", heads);
    const char *const metadata[] = {"format", "gvhmr-network", "version", "1", "num_heads", head_text,
                                    gv_weights_with_points(w) ? "features" : NULL, "kp3d", NULL};
    if (heads < 1 || gv_weights_width(w) % heads)
        status = gv_fail(err, GV_ERR_ARGUMENT, "%s: a width of %d cannot be divided among %d heads; give --heads", in,
                         gv_weights_width(w), heads);
    if (status == GV_OK) status = copy_weights(&c, w, err);
    if (status == GV_OK) status = gv_safetensors_write(out, c.views, c.count, dtype, metadata, err);
    copy_free(&c);
    gv_weights_close(w);
    return status;
}

int gv_cmd_convert(int argc, char **argv) {
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {"dtype", required_argument, NULL, 'd'},
                                            {"heads", required_argument, NULL, 'n'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *out = NULL, *type = "f32";
    long heads = 0;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
        if (c == 'o')
            out = optarg;
        else if (c == 'd')
            type = optarg;
        else if (c == 'h')
            return fputs(help, stdout), 0;
        else if (c != 'n')
            return gv_cli_usage("convert", "\"%s\" is unknown or lacks its value", argv[optind - 1]);
        else if (!gv_cli_int("convert", "--heads", optarg, 1, 1024, &heads))
            return 2;
    }
    if (optind + 1 != argc) return gv_cli_usage("convert", "expected one checkpoint");
    if (!out) return gv_cli_usage("convert", "-o FILE is missing");
    gv_dtype dtype = !strcmp(type, "f32")    ? GV_F32
                     : !strcmp(type, "bf16") ? GV_BF16
                     : !strcmp(type, "f16")  ? GV_F16
                                             : GV_OBJECT;
    if (dtype == GV_OBJECT) return gv_cli_usage("convert", "--dtype: \"%s\" is not f32, bf16 or f16", type);
    gv_error err = {0};
    return convert(argv[optind], out, dtype, (int)heads, &err) == GV_OK ? 0 : gv_cli_fail(&err);
}
