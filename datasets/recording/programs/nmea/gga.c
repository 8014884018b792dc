#include "gga.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 15

static int checksum_ok(const char *s)
{
    unsigned sum = 0;
    if (*s == '$')
        s++;
    while (*s && *s != '*')
        sum ^= (unsigned char)*s++;
    return *s == '*' && strtoul(s + 1, NULL, 16) == sum;
}

/* ddmm.mmmm -> degrees */
static double degrees(const char *field)
{
    double value = atof(field);
    int whole = (int)(value / 100);
    return whole + (value - whole * 100) / 60;
}

int gga_parse(const char *sentence, struct gga *out)
{
    char copy[128];
    char *field[MAX_FIELDS];
    int n = 0;

    if (strlen(sentence) < 6 || strncmp(sentence + 3, "GGA", 3) != 0)
        return -1;
    if (!checksum_ok(sentence))
        return -2;

    strncpy(copy, sentence, sizeof copy - 1);
    copy[sizeof copy - 1] = '\0';
    copy[strcspn(copy, "*")] = '\0';

    for (char *p = strtok(copy, ","); p && n < MAX_FIELDS; p = strtok(NULL, ","))
        field[n++] = p;
    while (n < MAX_FIELDS)
        field[n++] = "";

    sscanf(field[1], "%2d%2d%2d", &out->hour, &out->minute, &out->second);
    out->latitude = degrees(field[2]) * (*field[3] == 'S' ? -1 : 1);
    out->longitude = degrees(field[4]) * (*field[5] == 'W' ? -1 : 1);
    out->quality = atoi(field[6]);
    out->satellites = atoi(field[7]);
    out->hdop = atof(field[8]);
    out->altitude = atof(field[9]);
    return 0;
}
