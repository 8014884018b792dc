#include "record.h"

#include <stdio.h>

int main(void)
{
    struct record r;
    while (record_read(&r))
        printf("%-8s level %5d mm  flow %6d l/s\n", r.station, r.level_mm, r.flow_ls);
    return 0;
}
