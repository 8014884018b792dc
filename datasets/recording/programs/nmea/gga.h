#ifndef GGA_H
#define GGA_H

struct gga {
    int hour, minute, second;
    double latitude, longitude; /* degrees, north and east positive */
    int quality;                /* 0: no fix */
    int satellites;
    double hdop;
    double altitude; /* metres above sea level */
};

/* Reads a $..GGA sentence. 0: done, -1: not a GGA sentence, -2: wrong checksum. */
int gga_parse(const char *sentence, struct gga *out);

#endif
