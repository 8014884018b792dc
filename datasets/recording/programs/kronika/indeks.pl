#!/usr/bin/perl
# indeks.pl PLIK... - alfabetyczny spis nazwisk z kartoteki parafialnej
use strict;
use warnings;
use utf8;
use open qw(:std :encoding(UTF-8));

my %wpisy;
for my $plik (@ARGV) {
    open my $fh, '<', $plik or die "$plik: $!\n";
    while (my $wiersz = <$fh>) {
        chomp $wiersz;
        next if $wiersz =~ /^\s*(#|$)/;
        my ($nazwisko, $rok, $miejsce) = split /;/, $wiersz;
        push @{ $wpisy{$nazwisko} }, "$rok $miejsce";
    }
}
for my $nazwisko (sort keys %wpisy) {
    printf "%-16s %s\n", $nazwisko, join(', ', @{ $wpisy{$nazwisko} });
}
