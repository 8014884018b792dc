#include "record.h"

#include <stdio.h>
#include <string.h>

int record_read(struct record *r)
{
    char line[80];
    memset(r, 0, sizeof *r);
    if (!fgets(line, sizeof line, stdin))
        return 0;
    return sscanf(line, "%7s %d %d", r->station, &r->level_mm, &r->flow_ls) == 3;
}
