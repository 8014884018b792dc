-- Εκκαθάριση ανά μέλος για μια ελαιοκομική περίοδο.
SELECT m.onoma,
       m.chorio,
       SUM(p.kila)  AS kila,
       SUM(x.lepta) AS lepta
FROM melos m
LEFT JOIN paradosi p ON p.melos_id = m.id
LEFT JOIN pliromi  x ON x.melos_id = m.id
WHERE p.imerominia BETWEEN :apo AND :eos
GROUP BY m.id
ORDER BY m.onoma
