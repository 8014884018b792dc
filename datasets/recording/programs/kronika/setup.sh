set -e
printf '# chrzty\nŁukasik;1871;Żabno\nCzarnecka;1872;Gręboszów\nŚliwa;1871;Żabno\nZiółko;1874;Bolesław\n' > chrzty.txt
printf '# śluby, przepisane w 1998 r.\nĆwik;1890;Żabno\nŁukasik;1893;Gręboszów\nŻurek;1891;Bolesław\n' | iconv -f UTF-8 -t CP1250 > sluby.txt
printf '# zgony\nSobczyk;1902;Żabno\nŚliwa;1905;Żabno\nĄdziel;1901;Gręboszów\n' | iconv -f UTF-8 -t ISO-8859-2 > zgony.txt
