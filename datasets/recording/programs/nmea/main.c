#include "gga.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        struct gga fix = {0};
        line[strcspn(line, "\r\n")] = '\0';
        switch (gga_parse(line, &fix)) {
        case 0:
            printf("%02d:%02d:%02d", fix.hour, fix.minute, fix.second);
            if (fix.quality)
                printf(" %.5f %.5f %.1f m, %d satellites\n", fix.latitude, fix.longitude,
                       fix.altitude, fix.satellites);
            else
                printf(" no fix, %d satellites in view\n", fix.satellites);
            break;
        case -2:
            printf("bad checksum: %s\n", line);
            break;
        }
    }
    return 0;
}
