#!/bin/bash
# controle.sh DOSSIER : contrôle les relevés de ruches avant l'envoi au rucher-école.
# Un relevé par fichier, lignes « ruche;poids en kg;remarque ».
set -euo pipefail

total=0
alertes=0
for releve in "$1"/*.csv; do
    ((total++))
    legeres=$(grep -E '^[^;]+;([0-9]|1[0-9]),' "$releve" | wc -l)
    if [ "$legeres" -gt 0 ]; then
        echo "$(basename "$releve") : $legeres ruche(s) de moins de 20 kg"
        ((alertes++))
    fi
done
echo "$total relevé(s) contrôlé(s), $alertes à revoir"
