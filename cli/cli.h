// cli.h - what the subcommands share.
#pragma once
#include "base/error.h"
#include "nn/device.h"
#include <getopt.h>
#include <stdbool.h>

typedef struct gv_command {
    const char *name, *help;           // one line
    int (*run)(int argc, char **argv); // argv[0] is the subcommand's name; returns the exit status
} gv_command;

int gv_cmd_run(int argc, char **argv);
int gv_cmd_batch(int argc, char **argv);
int gv_cmd_live(int argc, char **argv);
int gv_cmd_observe(int argc, char **argv);
int gv_cmd_camera(int argc, char **argv);
int gv_cmd_predict(int argc, char **argv);
int gv_cmd_export(int argc, char **argv);
int gv_cmd_convert(int argc, char **argv);
int gv_cmd_render(int argc, char **argv);
int gv_cmd_view(int argc, char **argv);
int gv_cmd_train(int argc, char **argv);
int gv_cmd_dataset(int argc, char **argv);
int gv_cmd_eval(int argc, char **argv);
int gv_cmd_info(int argc, char **argv);

// Where videos are decoded (base/jail.h): before anything else is begun. Returns 0, or the exit status. What the system
// lacks is said on stderr unless quiet.
struct gv_jail;
int gv_cli_jail(struct gv_jail **jail, bool quiet);

// "gvhmr: MESSAGE" on stderr; returns 1.
int gv_cli_fail(const gv_error *err);
// The same for a wrong command line, with a hint at --help; returns 2.
int gv_cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Strict numbers: the whole text, within the range; on failure prints what is wrong and returns false.
bool gv_cli_int(const char *command, const char *option, const char *text, long lo, long hi, long *out);
bool gv_cli_double(const char *command, const char *option, const char *text, double lo, double hi, double *out);
// The value of --device: cpu, auto or cuda; and the device that it means, NULL for the processor. Where auto has to do
// without one, that is said on stderr unless quiet.
bool gv_cli_device(const char *command, const char *text, gv_device_choice *out);
gv_status gv_cli_open_device(gv_device **out, gv_device_choice where, bool quiet, gv_error *err);
