// robot.c - one pass of expat per format; MJCF takes two, for its defaults and angle unit may stand behind the bodies.
#include "exports/robot.h"
#include "base/file.h"
#include "base/memory.h"
#include "geometry/so3.h"

#include <expat.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20, DEPTH = 256, CLASSES = 256, DEFAULTS = 4096, VALUE = 96 };
static const double unlimited = 1e9;

typedef struct reader {
    gv_robot *robot;
    gv_error *err;
    gv_status status;
    const char *path;
    XML_Parser xml;
    int depth;
    bool first_pass; // of MJCF
    // MJCF
    bool degrees;
    char euler[4];
    int body[DEPTH], class_of[DEPTH]; // link and childclass at each depth
    int root_bodies;                  // of the world, seen so far
    bool in_world;
    int classes, class_parent[CLASSES], open_class;
    char class_name[CLASSES][GV_ROBOT_NAME];
    int defaults;
    struct {
        int of;
        char tag[16], key[16], value[VALUE];
    } def[DEFAULTS];
    // URDF
    char parent[GV_ROBOT_JOINTS + GV_ROBOT_LINKS][GV_ROBOT_NAME],
        child[GV_ROBOT_JOINTS + GV_ROBOT_LINKS][GV_ROBOT_NAME];
    gv_robot_link origin[GV_ROBOT_JOINTS + GV_ROBOT_LINKS]; // of each connection: place, R, first_joint or -1
    bool floating[GV_ROBOT_JOINTS + GV_ROBOT_LINKS];
    int connections, open_link;
    bool in_joint, in_collision;
    double collision_place[3], collision_R[9];
} reader;

static void fail(reader *s, const char *format, const char *a, const char *b) {
    char text[400];
    if (s->status != GV_OK) return;
    snprintf(text, sizeof text, format, a, b);
    s->status = gv_fail(s->err, GV_ERR_FORMAT, "%s: line %lu: %s", s->path, XML_GetCurrentLineNumber(s->xml), text);
    XML_StopParser(s->xml, XML_FALSE);
}

static const char *attribute(const char **attributes, const char *key) {
    for (; *attributes; attributes += 2)
        if (!strcmp(attributes[0], key)) return attributes[1];
    return NULL;
}

// Up to n numbers; returns how many, or -1 where the text holds something else.
static int numbers(const char *text, double *out, int n) {
    for (int i = 0; i < n; i++) {
        char *end;
        double x = strtod(text, &end);
        if (end == text) return text[strspn(text, " \t\r\n")] ? -1 : i;
        if (!(fabs(x) < 1e6)) return -1;
        out[i] = x;
        text = end;
    }
    return text[strspn(text, " \t\r\n")] ? -1 : n;
}

// Exactly n numbers where the attribute is there; out stays as it is where it is not.
static void read_vector(reader *s, const char *text, double *out, int n, const char *what) {
    double v[9];
    if (!text) return;
    if (numbers(text, v, n) != n) {
        fail(s, "%s \"%.60s\" is not as many finite numbers as expected", what, text);
        return;
    }
    memcpy(out, v, (size_t)n * sizeof *v);
}

static void copy_name(reader *s, char out[GV_ROBOT_NAME], const char *name, const char *what) {
    if (!name || !*name || strlen(name) >= GV_ROBOT_NAME)
        fail(s, "a %s has no name or one of more than 63 letters%s", what, "");
    else
        snprintf(out, GV_ROBOT_NAME, "%s", name);
}

static bool unit(double v[3]) {
    return gv_normalise3(v) > 1e-9;
}

static void turn_about(double R[9], int axis, double angle, bool intrinsic) {
    double w[3] = {0}, T[9], A[9];
    w[axis] = angle;
    gv_so3_exp(T, w);
    if (intrinsic)
        gv_so3_mul(A, R, T);
    else
        gv_so3_mul(A, T, R);
    memcpy(R, A, sizeof A);
}

static gv_robot_link *add_link(reader *s) {
    if (s->robot->links == GV_ROBOT_LINKS) return fail(s, "more than %s%s", "1024 links", ""), NULL;
    gv_robot_link *l = &s->robot->link[s->robot->links++];
    *l = (gv_robot_link){.parent = -1, .first_joint = -1};
    gv_so3_identity(l->R);
    return l;
}

static gv_robot_joint *add_joint(reader *s) {
    if (s->robot->joints == GV_ROBOT_JOINTS) return fail(s, "more than %s%s", "512 joints", ""), NULL;
    gv_robot_joint *j = &s->robot->joint[s->robot->joints++];
    *j = (gv_robot_joint){.lo = -unlimited, .hi = unlimited};
    return j;
}

// A sphere, or a box of half sizes, at `place` turned by R in a link. Beyond the limit they are left out.
static void add_points(reader *s, int link, const double place[3], const double R[9], const double half[3],
                       double radius) {
    for (int corner = 0; corner < (half ? 8 : 1) && s->robot->points < GV_ROBOT_POINTS; corner++) {
        gv_robot_point *p = &s->robot->point[s->robot->points++];
        *p = (gv_robot_point){.link = link, .radius = half ? 0 : radius};
        double c[3] = {0};
        if (half)
            for (int i = 0; i < 3; i++) c[i] = corner >> i & 1 ? half[i] : -half[i];
        gv_so3_apply(p->at, R, c);
        for (int i = 0; i < 3; i++) p->at[i] += place[i];
    }
}

// ---- MJCF

static int find_class(const reader *s, const char *name) {
    for (int i = 0; i < s->classes; i++)
        if (!strcmp(s->class_name[i], name)) return i;
    return -1;
}

static void open_default(reader *s, const char **a) {
    const char *name = attribute(a, "class");
    if (s->classes == CLASSES) {
        fail(s, "more than %s%s", "256 default classes", "");
        return;
    }
    copy_name(s, s->class_name[s->classes], name ? name : "main", "default class");
    s->class_parent[s->classes] = s->open_class;
    s->open_class = s->classes++;
}

static void store_default(reader *s, const char *tag, const char **a) {
    for (; *a; a += 2) {
        if (strlen(tag) >= sizeof s->def->tag || strlen(a[0]) >= sizeof s->def->key || strlen(a[1]) >= VALUE) continue;
        if (s->defaults == DEFAULTS) {
            fail(s, "more than %s%s", "4096 defaults", "");
            return;
        }
        int d = s->defaults++;
        s->def[d].of = s->open_class;
        snprintf(s->def[d].tag, sizeof s->def->tag, "%s", tag);
        snprintf(s->def[d].key, sizeof s->def->key, "%s", a[0]);
        snprintf(s->def[d].value, VALUE, "%s", a[1]);
    }
}

// An attribute as MuJoCo sees it: the element's own, or that of its default class, or of the classes around that.
static const char *effective(const reader *s, const char *tag, const char **a, const char *key) {
    const char *own = attribute(a, key), *name = attribute(a, "class");
    if (own) return own;
    int class = name ? find_class(s, name) : s->class_of[s->depth - 1];
    if (class < 0 && s->classes) class = 0;
    for (; class >= 0; class = s->class_parent[class])
        for (int d = s->defaults - 1; d >= 0; d--)
            if (s->def[d].of == class && !strcmp(s->def[d].tag, tag) && !strcmp(s->def[d].key, key))
                return s->def[d].value;
    return NULL;
}

static void read_rotation(reader *s, const char **a, double R[9]) {
    const char *quat = attribute(a, "quat"), *euler = attribute(a, "euler"), *aa = attribute(a, "axisangle");
    double scale = s->degrees ? M_PI / 180 : 1, v[4] = {1, 0, 0, 0};
    gv_so3_identity(R);
    if (attribute(a, "xyaxes") || attribute(a, "zaxis")) {
        fail(s, "orientations by %s are not read, only quat, euler and axisangle%s", "xyaxes and zaxis", "");
    } else if (quat) {
        read_vector(s, quat, v, 4, "quat");
        double n = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2] + v[3] * v[3]), sine = gv_normalise3(v + 1);
        double angle = 2 * atan2(sine, v[0]), w[3] = {angle * v[1], angle * v[2], angle * v[3]};
        if (n > 1e-9) gv_so3_exp(R, w);
    } else if (euler) {
        v[0] = 0;
        read_vector(s, euler, v, 3, "euler");
        for (int i = 0; i < 3; i++) {
            int axis = (s->euler[i] | 32) - 'x';
            turn_about(R, axis, v[i] * scale, s->euler[i] >= 'a');
        }
    } else if (aa) {
        read_vector(s, aa, v, 4, "axisangle");
        double angle = v[3] * scale;
        if (!unit(v)) return;
        double w[3] = {angle * v[0], angle * v[1], angle * v[2]};
        gv_so3_exp(R, w);
    }
}

static void read_compiler(reader *s, const char **a) {
    const char *angle = attribute(a, "angle"), *seq = attribute(a, "eulerseq");
    if (angle) s->degrees = strcmp(angle, "radian") != 0;
    if (seq && strlen(seq) == 3 && strspn(seq, "xyzXYZ") == 3) memcpy(s->euler, seq, 4);
}

static void open_body(reader *s, const char **a) {
    int parent = s->body[s->depth - 1];
    s->body[s->depth] = -1;
    if (parent < 0 && s->root_bodies++ > 0) return; // only the first body of the world is the robot
    if (parent < 0 && s->depth != 3) return;        // within one that is not
    gv_robot_link *l = add_link(s);
    if (!l) return;
    const char *name = attribute(a, "name");
    if (name)
        copy_name(s, l->name, name, "body");
    else
        snprintf(l->name, sizeof l->name, "body-%d", s->robot->links);
    l->parent = parent;
    read_vector(s, attribute(a, "pos"), l->place, 3, "pos");
    read_rotation(s, a, l->R);
    if (parent < 0) s->robot->root_height = l->place[2];
    s->body[s->depth] = s->robot->links - 1;
}

static void read_joint(reader *s, const char *tag, const char **a) {
    int link = s->body[s->depth - 1];
    if (link < 0) return;
    const char *type = effective(s, tag, a, "type");
    if (!strcmp(tag, "freejoint") || (type && !strcmp(type, "free"))) {
        if (s->robot->link[link].parent >= 0) fail(s, "a free joint within %s%s", s->robot->link[link].name, "");
        return;
    }
    if (type && strcmp(type, "hinge") && strcmp(type, "slide")) {
        fail(s, "a joint of type \"%.40s\" at \"%.63s\": only hinge, slide and free are known", type,
             s->robot->link[link].name);
        return;
    }
    gv_robot_joint *j = add_joint(s);
    if (!j) return;
    double range[2] = {-unlimited, unlimited}, scale;
    const char *name = attribute(a, "name"), *limited = effective(s, tag, a, "limited");
    if (name)
        copy_name(s, j->name, name, "joint");
    else
        snprintf(j->name, sizeof j->name, "joint-%d", s->robot->joints);
    j->link = link;
    j->slide = type && !strcmp(type, "slide");
    j->axis[2] = 1;
    read_vector(s, effective(s, tag, a, "axis"), j->axis, 3, "axis");
    read_vector(s, effective(s, tag, a, "pos"), j->anchor, 3, "pos");
    read_vector(s, effective(s, tag, a, "range"), range, 2, "range");
    scale = j->slide || !s->degrees || fabs(range[0]) >= unlimited ? 1 : M_PI / 180;
    if (range[0] < range[1] && !(limited && !strcmp(limited, "false")))
        j->lo = range[0] * scale, j->hi = range[1] * scale;
    if (!unit(j->axis)) fail(s, "joint \"%.63s\" has no axis%s", j->name, "");
}

static void read_geom(reader *s, const char **a) {
    int link = s->body[s->depth - 1];
    const char *type = effective(s, "geom", a, "type"), *size = effective(s, "geom", a, "size");
    double place[3] = {0}, R[9], v[3] = {0};
    if (link < 0 || !size || attribute(a, "mesh")) return;
    bool sphere = !type || !strcmp(type, "sphere"), box = type && !strcmp(type, "box");
    if ((!sphere && !box) || numbers(size, v, 3) < (box ? 3 : 1)) return;
    read_vector(s, effective(s, "geom", a, "pos"), place, 3, "pos");
    read_rotation(s, a, R);
    add_points(s, link, place, R, box ? v : NULL, v[0]);
}

static void mjcf_first_pass(reader *s, const char *tag, const char **a) {
    if (!strcmp(tag, "compiler")) read_compiler(s, a);
    if (!strcmp(tag, "default"))
        open_default(s, a);
    else if (s->open_class >= 0)
        store_default(s, tag, a);
}

static void mjcf_element(reader *s, const char *tag, const char **a) {
    if (s->depth >= 2) {
        s->body[s->depth] = s->body[s->depth - 1];
        s->class_of[s->depth] = s->class_of[s->depth - 1];
    }
    if (s->depth == 2) {
        s->in_world = !strcmp(tag, "worldbody");
        s->body[2] = -1;
        s->class_of[2] = -1;
    }
    if (!s->in_world || s->depth < 3) return;
    const char *class = attribute(a, "childclass");
    if (class) s->class_of[s->depth] = find_class(s, class);
    if (!strcmp(tag, "body"))
        open_body(s, a);
    else if (!strcmp(tag, "joint") || !strcmp(tag, "freejoint"))
        read_joint(s, tag, a);
    else if (!strcmp(tag, "geom"))
        read_geom(s, a);
    else if (!strcmp(tag, "include"))
        fail(s, "names another file, %s, which is not followed: give the robot's own file%s", "<include>", "");
}

// Joints by link, as simulators count them: all of a body's before those of the bodies within it.
static void order_joints(gv_robot *r) {
    for (int i = 1; i < r->joints; i++) { // they are almost in order
        gv_robot_joint j = r->joint[i];
        int k = i;
        for (; k > 0 && r->joint[k - 1].link > j.link; k--) r->joint[k] = r->joint[k - 1];
        r->joint[k] = j;
    }
    for (int i = r->joints - 1; i >= 0; i--) {
        r->link[r->joint[i].link].first_joint = i;
        r->link[r->joint[i].link].joints++;
    }
}

// ---- URDF

static void rpy(double R[9], const double v[3]) { // roll, pitch, yaw about the fixed x, y, z
    gv_so3_identity(R);
    for (int i = 0; i < 3; i++) turn_about(R, i, v[i], false);
}

static void read_origin(reader *s, const char **a, double place[3], double R[9]) {
    double v[3] = {0};
    read_vector(s, attribute(a, "xyz"), place, 3, "xyz");
    read_vector(s, attribute(a, "rpy"), v, 3, "rpy");
    rpy(R, v);
}

static void open_connection(reader *s, const char **a) {
    const char *type = attribute(a, "type");
    if (!type) type = "";
    bool fixed = !strcmp(type, "fixed"), floating = !strcmp(type, "floating"), slide = !strcmp(type, "prismatic");
    if (!fixed && !floating && !slide && strcmp(type, "revolute") && strcmp(type, "continuous")) {
        fail(s, "a joint of type \"%.40s\": only fixed, revolute, continuous, prismatic and floating are known%s", type,
             "");
        return;
    }
    if (s->connections == (int)(sizeof s->floating / sizeof *s->floating)) {
        fail(s, "more than %s%s", "1536 joints", "");
        return;
    }
    gv_robot_link *o = &s->origin[s->connections];
    *o = (gv_robot_link){.first_joint = -1};
    gv_so3_identity(o->R);
    s->parent[s->connections][0] = s->child[s->connections][0] = 0;
    s->floating[s->connections] = floating;
    if (!fixed && !floating) {
        gv_robot_joint *j = add_joint(s);
        if (!j) return;
        copy_name(s, j->name, attribute(a, "name"), "joint");
        j->slide = slide;
        j->axis[0] = 1;
        o->first_joint = s->robot->joints - 1;
    }
    s->connections++;
    s->in_joint = true;
}

static void connection_element(reader *s, const char *tag, const char **a) {
    int c = s->connections - 1;
    gv_robot_joint *j = s->origin[c].first_joint >= 0 ? &s->robot->joint[s->origin[c].first_joint] : NULL;
    if (!strcmp(tag, "origin")) read_origin(s, a, s->origin[c].place, s->origin[c].R);
    if (!strcmp(tag, "parent")) copy_name(s, s->parent[c], attribute(a, "link"), "joint's parent");
    if (!strcmp(tag, "child")) copy_name(s, s->child[c], attribute(a, "link"), "joint's child");
    if (!j) return;
    if (!strcmp(tag, "axis")) {
        read_vector(s, attribute(a, "xyz"), j->axis, 3, "axis");
        if (!unit(j->axis)) fail(s, "joint \"%.63s\" has no axis%s", j->name, "");
    }
    if (!strcmp(tag, "limit") && attribute(a, "lower") && attribute(a, "upper")) {
        read_vector(s, attribute(a, "lower"), &j->lo, 1, "lower");
        read_vector(s, attribute(a, "upper"), &j->hi, 1, "upper");
        if (!(j->lo < j->hi)) j->lo = -unlimited, j->hi = unlimited; // continuous joints state 0 and 0
    }
}

static void collision_element(reader *s, const char *tag, const char **a) {
    double v[3] = {0};
    if (!strcmp(tag, "origin")) read_origin(s, a, s->collision_place, s->collision_R);
    if (!strcmp(tag, "sphere")) {
        read_vector(s, attribute(a, "radius"), v, 1, "radius");
        add_points(s, s->open_link, s->collision_place, s->collision_R, NULL, v[0]);
    }
    if (!strcmp(tag, "box")) {
        read_vector(s, attribute(a, "size"), v, 3, "size");
        for (int i = 0; i < 3; i++) v[i] /= 2;
        add_points(s, s->open_link, s->collision_place, s->collision_R, v, 0);
    }
}

static void urdf_element(reader *s, const char *tag, const char **a) {
    if (s->depth == 2) {
        s->in_joint = s->in_collision = false;
        s->open_link = -1;
        if (!strcmp(tag, "link")) {
            gv_robot_link *l = add_link(s);
            if (l) copy_name(s, l->name, attribute(a, "name"), "link");
            s->open_link = s->robot->links - 1;
        } else if (!strcmp(tag, "joint")) {
            open_connection(s, a);
        }
    } else if (s->in_joint) {
        connection_element(s, tag, a);
    } else if (s->open_link >= 0 && s->depth == 3) {
        s->in_collision = !strcmp(tag, "collision");
        memset(s->collision_place, 0, sizeof s->collision_place);
        gv_so3_identity(s->collision_R);
    } else if (s->in_collision) {
        collision_element(s, tag, a);
    }
}

static int link_named(const gv_robot *r, const char *name) {
    for (int i = 0; i < r->links; i++)
        if (!strcmp(r->link[i].name, name)) return i;
    return -1;
}

static gv_status connect(reader *s) {
    gv_robot *r = s->robot;
    for (int c = 0; c < s->connections; c++) {
        int parent = link_named(r, s->parent[c]), child = link_named(r, s->child[c]);
        if (parent < 0 || child < 0)
            return gv_fail(s->err, GV_ERR_FORMAT, "%s: a joint joins \"%s\" and \"%s\", and one of them is no link",
                           s->path, s->parent[c], s->child[c]);
        gv_robot_link *l = &r->link[child];
        if (l->parent != -1) return gv_fail(s->err, GV_ERR_FORMAT, "%s: link \"%s\" has two parents", s->path, l->name);
        l->parent = s->floating[c] ? -2 : parent; // -2: floats, so it is the root of what matters
        memcpy(l->place, s->origin[c].place, sizeof l->place);
        memcpy(l->R, s->origin[c].R, sizeof l->R);
        l->first_joint = s->origin[c].first_joint;
        l->joints = l->first_joint >= 0;
        if (l->joints) r->joint[l->first_joint].link = child;
    }
    return GV_OK;
}

// Links in an order in which parents come first, beginning at the root; those that do not hang on it (a world above a
// floating base) are dropped.
static gv_status order_links(reader *s) {
    gv_robot *r = s->robot;
    int root = -1, order[GV_ROBOT_LINKS], place[GV_ROBOT_LINKS], n = 0;
    for (int i = 0; i < r->links; i++)
        if (r->link[i].parent == -2) root = i;
    for (int i = 0; root < 0 && i < r->links; i++)
        if (r->link[i].parent == -1) root = i;
    if (root < 0)
        return gv_fail(s->err, GV_ERR_FORMAT, "%s: %s", s->path,
                       r->links ? "links hang on each other in a ring" : "no links");
    for (int i = 0; i < r->links; i++) place[i] = -1;
    order[n++] = root;
    place[root] = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < r->links; k++)
            if (r->link[k].parent == order[i] && place[k] < 0) place[k] = n, order[n++] = k;
    gv_robot_link *sorted = gv_calloc2((size_t)GV_ROBOT_LINKS, sizeof *sorted);
    if (!sorted) return gv_fail(s->err, GV_ERR_MEMORY, "%s: no memory", s->path);
    for (int i = 0; i < n; i++) {
        sorted[i] = r->link[order[i]];
        sorted[i].parent = i ? place[r->link[order[i]].parent] : -1;
    }
    free(r->link);
    r->link = sorted;
    gv_status status = GV_OK;
    for (int j = 0; j < r->joints && status == GV_OK; j++) {
        if (place[r->joint[j].link] < 0)
            status = gv_fail(s->err, GV_ERR_FORMAT, "%s: joint \"%s\" does not hang on \"%s\"", s->path,
                             r->joint[j].name, sorted[0].name);
        r->joint[j].link = place[r->joint[j].link];
    }
    int kept = 0;
    for (int p = 0; p < r->points; p++)
        if (place[r->point[p].link] >= 0) {
            r->point[kept] = r->point[p];
            r->point[kept++].link = place[r->point[p].link];
        }
    r->points = kept;
    r->links = n;
    return status;
}

// ---- expat

static void XMLCALL start_mjcf(void *user, const char *tag, const char **a) {
    reader *s = user;
    if (++s->depth >= DEPTH) {
        fail(s, "elements are nested more than %s deep%s", "255", "");
        return;
    }
    s->first_pass ? mjcf_first_pass(s, tag, a) : mjcf_element(s, tag, a);
}

static void XMLCALL start_urdf(void *user, const char *tag, const char **a) {
    reader *s = user;
    if (++s->depth >= DEPTH)
        fail(s, "elements are nested more than %s deep%s", "255", "");
    else
        urdf_element(s, tag, a);
}

// The first element says which of the two it is.
static void XMLCALL start_any(void *user, const char *tag, const char **a) {
    reader *s = user;
    (void)a;
    s->depth = 1;
    if (!strcmp(tag, "mujoco")) {
        s->first_pass = true;
        XML_SetStartElementHandler(s->xml, start_mjcf);
    } else if (!strcmp(tag, "robot")) {
        XML_SetStartElementHandler(s->xml, start_urdf);
    } else {
        fail(s, "begins with <%.40s>, expected <mujoco> (MJCF) or <robot> (URDF)%s", tag, "");
    }
}

static void XMLCALL end_any(void *user, const char *tag) {
    reader *s = user;
    s->depth--;
    if (s->first_pass && !strcmp(tag, "default") && s->open_class >= 0) s->open_class = s->class_parent[s->open_class];
}

static void XMLCALL doctype(void *user, const char *name, const char *system, const char *public, int subset) {
    (void)name, (void)system, (void)public, (void)subset;
    fail(user, "has a %s, which robot descriptions do not need%s", "document type declaration", "");
}

static gv_status pass(reader *s, XML_StartElementHandler start, const void *text, size_t size) {
    s->depth = 0;
    s->xml = XML_ParserCreate(NULL);
    if (!s->xml) return gv_fail(s->err, GV_ERR_MEMORY, "%s: no memory", s->path);
    XML_SetUserData(s->xml, s);
    XML_SetElementHandler(s->xml, start, end_any);
    XML_SetStartDoctypeDeclHandler(s->xml, doctype);
    if (XML_Parse(s->xml, text, (int)size, 1) != XML_STATUS_OK && s->status == GV_OK)
        s->status = gv_fail(s->err, GV_ERR_FORMAT, "%s: line %lu: not XML: %s", s->path,
                            XML_GetCurrentLineNumber(s->xml), XML_ErrorString(XML_GetErrorCode(s->xml)));
    XML_ParserFree(s->xml);
    s->xml = NULL;
    return s->status;
}

static gv_status read_both(reader *s, const void *text, size_t size) {
    gv_status status = pass(s, start_any, text, size);
    if (status != GV_OK) return status;
    if (!s->first_pass) {
        status = connect(s);
        return status == GV_OK ? order_links(s) : status;
    }
    s->first_pass = false;
    status = pass(s, start_mjcf, text, size);
    if (status == GV_OK && s->robot->links == 0)
        status = gv_fail(s->err, GV_ERR_FORMAT, "%s: no body in its worldbody", s->path);
    if (status == GV_OK) order_joints(s->robot);
    return status;
}

gv_status gv_robot_parse(gv_robot **out, const void *text, size_t size, const char *path, gv_error *err) {
    gv_error local = {0};
    gv_robot *r = *out = gv_calloc2(1, sizeof *r);
    reader *s = gv_calloc2(1, sizeof *s);
    gv_status status = GV_OK;
    if (r) {
        r->link = gv_calloc2(GV_ROBOT_LINKS, sizeof *r->link);
        r->joint = gv_calloc2(GV_ROBOT_JOINTS, sizeof *r->joint);
        r->point = gv_calloc2(GV_ROBOT_POINTS, sizeof *r->point);
    }
    if (!r || !s || !r->link || !r->joint || !r->point) {
        status = gv_fail(err, GV_ERR_MEMORY, "%s: no memory for a robot", path);
    } else if (size > MOST_BYTES) {
        status = gv_fail(err, GV_ERR_FORMAT, "%s: larger than 64 MiB", path);
    } else {
        s->robot = r;
        s->err = err ? err : &local;
        s->path = path;
        s->degrees = true;
        s->open_class = -1;
        memcpy(s->euler, "xyz", 4);
        status = read_both(s, text, size);
    }
    free(s);
    if (status != GV_OK) {
        gv_robot_close(r);
        *out = NULL;
    }
    return status;
}

gv_status gv_robot_open(gv_robot **out, const char *path, gv_error *err) {
    unsigned char *text = NULL;
    size_t size;
    *out = NULL;
    gv_status status = gv_file_read(path, MOST_BYTES, &text, &size, err);
    if (status == GV_OK) status = gv_robot_parse(out, text, size, path, err);
    free(text);
    return status;
}

void gv_robot_close(gv_robot *r) {
    if (!r) return;
    free(r->link);
    free(r->joint);
    free(r->point);
    free(r);
}

// ---- poses

// Link frame after one joint: turned about or moved along its axis.
static void move_joint(double place[3], double R[9], const gv_robot_joint *j, double q) {
    double T[9], turned[9], w[3], before[3], after[3];
    for (int i = 0; i < 3; i++) w[i] = q * j->axis[i];
    if (j->slide) {
        gv_so3_apply(after, R, w);
        for (int i = 0; i < 3; i++) place[i] += after[i];
        return;
    }
    gv_so3_exp(T, w);
    gv_so3_mul(turned, R, T);
    gv_so3_apply(before, R, j->anchor);
    gv_so3_apply(after, turned, j->anchor);
    for (int i = 0; i < 3; i++) place[i] += before[i] - after[i];
    memcpy(R, turned, sizeof turned);
}

void gv_robot_pose(const gv_robot *r, const double place[3], const double R[9], const double *q, double (*places)[3],
                   double (*rotations)[9]) {
    for (int l = 0; l < r->links; l++) {
        const gv_robot_link *k = &r->link[l];
        if (k->parent < 0) {
            memcpy(places[l], place, 3 * sizeof *place);
            memcpy(rotations[l], R, 9 * sizeof *R);
        } else {
            double offset[3];
            gv_so3_apply(offset, rotations[k->parent], k->place);
            for (int i = 0; i < 3; i++) places[l][i] = places[k->parent][i] + offset[i];
            gv_so3_mul(rotations[l], rotations[k->parent], k->R);
        }
        for (int j = k->first_joint; j < k->first_joint + k->joints; j++)
            move_joint(places[l], rotations[l], &r->joint[j], q[j]);
    }
}
