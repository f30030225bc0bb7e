# A thin front for Meson. Everything needed is installed by `make setup`, which
# `make demo` and `make test` run by themselves.
BUILD ?= build

.PHONY: all setup install deb demo test sanitize tsan gpu-check format clean

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD) --buildtype=release

setup:
	tools/setup.sh

# Below PREFIX (default: as the build folder was set up), or DESTDIR and it
install: all
	meson install -C $(BUILD)

# Debian packages in the folder above; needs debhelper and dh-python
deb: setup
	dpkg-buildpackage -us -uc -b
	tests/install.sh .. .

demo: setup all
	tools/demo.sh $(BUILD)

test: setup $(BUILD)/build.ninja
	ninja -C $(BUILD)
	meson test -C $(BUILD) --print-errorlogs --timeout-multiplier 3

sanitize: setup
	test -f $(BUILD)-asan/build.ninja || meson setup $(BUILD)-asan --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
	ninja -C $(BUILD)-asan
	meson test -C $(BUILD)-asan --print-errorlogs --timeout-multiplier 4

# The tests with threads under the thread sanitizer. clang's, whose OpenMP tells it (libomp and its tool Archer) when
# threads wait for each other; libraries that are not built for it (oneDNN, FFmpeg) are left out, and no suppressions
# are needed.
TSAN_TESTS = base video people live library batch network cache
tsan: export TSAN_OPTIONS = ignore_noninstrumented_modules=1
tsan: setup
	test -f $(BUILD)-tsan/build.ninja || CC=clang meson setup $(BUILD)-tsan --buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false
	ninja -C $(BUILD)-tsan
	meson test -C $(BUILD)-tsan --no-rebuild --print-errorlogs --timeout-multiplier 15 $(TSAN_TESTS)

# The processor's parity tests on a GPU, then the same under compute-sanitizer: wrong addresses, races, barriers that
# not all threads reach, unwritten memory.
GPU_TESTS = vit yolo network reference training training_device
gpu-check: setup
	test -f $(BUILD)-cuda/build.ninja || meson setup $(BUILD)-cuda --buildtype=release -Dcuda=enabled
	ninja -C $(BUILD)-cuda
	@$(BUILD)-cuda/bench/bench_train 8 1 1 1 1 0 cuda >/dev/null # one line where there is no GPU
	meson test -C $(BUILD)-cuda --print-errorlogs --timeout-multiplier 3 $(GPU_TESTS:=-cuda)
	for tool in memcheck racecheck synccheck initcheck; do for t in $(GPU_TESTS); do \
	  GVHMR_TEST_DEVICE=cuda GVHMR_DATA=models/node_modules/@mediapipe/pose \
	  compute-sanitizer --tool $$tool --error-exitcode 1 $(BUILD)-cuda/tests/test_$$t || exit 1; done; done

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-cuda

# Formats every source as .clang-format says.
format:
	clang-format -i $$(git ls-files '*.c' '*.h')
