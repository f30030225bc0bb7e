// The relative transformer: its table of weights against the released file's, and its forward pass.
#include "test.h"
#include "network/network.h"

#include <jansson.h>
#include <string.h>

static void weight_table_is_the_released_one(void **s) {
    (void)s;
    const char *path = need_shared("reference/motion/full_tensors.json");
    json_t *file = json_load_file(path, 0, NULL);
    assert_non_null(file);
    gv_weight_spec table[256];
    int n = gv_network_weight_table(table, 256, 512, 12, 1), i = 0;
    assert_int_equal(n, 247);
    assert_int_equal(json_object_size(file), n);
    int64_t parameters = 0;
    const char *key;
    json_t *shape;
    json_object_foreach(file, key, shape) { // jansson keeps the file's order
        assert_string_equal(key + strlen("pipeline.denoiser3d."), table[i].name);
        assert_int_equal(json_array_size(shape), table[i].ndim);
        int64_t count = 1;
        for (int d = 0; d < table[i].ndim; d++) {
            assert_int_equal(json_integer_value(json_array_get(shape, (size_t)d)), table[i].shape[d]);
            count *= table[i].shape[d];
        }
        parameters += count;
        i++;
    }
    assert_int_equal(parameters, 40852256);
    assert_int_equal(gv_network_weight_table(NULL, 0, 512, 12, 0), 243); // without the image embedder's four
    json_decref(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weight_table_is_the_released_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
