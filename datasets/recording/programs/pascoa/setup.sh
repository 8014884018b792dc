# Monta o histórico do repositório: catorze commits, um deles com o erro.
set -e
export GIT_AUTHOR_NAME="Equipe Calendário" GIT_AUTHOR_EMAIL=equipe@example.org GIT_COMMITTER_NAME="Equipe Calendário" GIT_COMMITTER_EMAIL=equipe@example.org
n=0
commit() {
    n=$((n + 1))
    export GIT_AUTHOR_DATE="2026-02-$(printf %02d $n)T12:00:00Z" GIT_COMMITTER_DATE="2026-02-$(printf %02d $n)T12:00:00Z"
    git add -A -- . ':!setup.sh' && git commit -q -m "$1"
}
git init -q -b main .
git config core.abbrev 7
cat > pascoa.py <<'PY'
from datetime import date, timedelta


def pascoa(ano):
    a = ano % 19
    b, c = divmod(ano, 100)
    d, e = divmod(b, 4)
    f = (b + 8) // 25
    g = (b - f + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    l = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * l) // 451
    mes, dia = divmod(h + l - 7 * m + 114, 31)
    return date(ano, mes, dia + 1)
PY
commit "Cálculo da Páscoa"
cat > feriados.py <<'PY'
import sys
from datetime import timedelta

from pascoa import pascoa


def moveis(ano):
    p = pascoa(ano)
    return {
        "Carnaval": p - timedelta(days=47),
        "Sexta-feira Santa": p - timedelta(days=2),
        "Páscoa": p,
        "Corpus Christi": p + timedelta(days=60),
    }


if __name__ == "__main__":
    for nome, dia in moveis(int(sys.argv[1])).items():
        print(f"{dia:%d/%m/%Y}  {nome}")
PY
commit "Feriados móveis"
printf '# feriados\n\nCalcula os feriados móveis: `python3 feriados.py 2026`\n' > README.md
commit "README"
sed -i '1i"""Domingo de Páscoa no calendário gregoriano."""\n' pascoa.py
commit "Documenta o módulo"
sed -i 's/^from datetime import date, timedelta/from datetime import date/' pascoa.py
commit "Remove import sem uso"
sed -i 's/    mes, dia = divmod(h + l - 7 \* m + 114, 31)/    resto = h + l - 7 * m + 114\n    mes, dia = divmod(resto, 31)/' pascoa.py
commit "Dá nome ao resto"
printf '__pycache__/\n' > .gitignore
commit "Ignora __pycache__"
sed -i 's/"Corpus Christi": p/"Ascensão": p + timedelta(days=39),\n        "Corpus Christi": p/' feriados.py
commit "Inclui a Ascensão"
sed -i -e 's/    m = (a + 11 \* h + 22 \* l) \/\/ 451/    m = 1 if a + 11 * h + 22 * l > 451 * 2 else 0/' pascoa.py
commit "Simplifica a correção m"
sed -i 's/print(f"{dia:%d\/%m\/%Y}  {nome}")/print(f"{dia:%d\/%m\/%Y}  {nome}", flush=True)/' feriados.py
commit "Saída sem buffer"
sed -i 's/int(sys.argv\[1\])/int(sys.argv[1]) if len(sys.argv) > 1 else 2026/' feriados.py
commit "Ano opcional"
sed -i 's/"Carnaval": p - timedelta(days=47),/"Carnaval": p - timedelta(days=47),\n        "Quarta-feira de Cinzas": p - timedelta(days=46),/' feriados.py
commit "Inclui a Quarta-feira de Cinzas"
printf '\nOs anos vão de 1583 a 4099.\n' >> README.md
commit "README: intervalo de anos"
sed -i 's/^def moveis(ano):/def moveis(ano):\n    """Feriados que dependem da Páscoa."""/' feriados.py
commit "Documenta moveis()"
