#include "base/team.h"

_Thread_local gv_team gv_team_here = {0, 1, 0};
