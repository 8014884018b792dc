//! Verteilt die Heizkosten eines Hauses auf die Wohnungen.
//! Beträge stehen in Cent, Flächen in Zehntel-Quadratmetern, Verbräuche in Einheiten.

#[derive(Debug, Clone, PartialEq)]
pub struct Wohnung {
    pub name: String,
    pub flaeche: u64,
    pub verbrauch: u64,
}

/// Teilt `betrag` im Verhältnis der Gewichte auf.
pub fn aufteilen(betrag: u64, gewichte: &[u64]) -> Vec<u64> {
    let summe: u64 = gewichte.iter().sum();
    gewichte
        .iter()
        .map(|g| (betrag as f64 * *g as f64 / summe as f64).round() as u64)
        .collect()
}

/// Kosten je Wohnung: `grundanteil` Prozent nach Fläche, der Rest nach Verbrauch.
pub fn abrechnen(gesamt: u64, grundanteil: u64, wohnungen: &[Wohnung]) -> Vec<u64> {
    let grundkosten = gesamt * grundanteil / 100;
    let flaechen: Vec<u64> = wohnungen.iter().map(|w| w.flaeche).collect();
    let verbraeuche: Vec<u64> = wohnungen.iter().map(|w| w.verbrauch).collect();
    aufteilen(grundkosten, &flaechen)
        .iter()
        .zip(aufteilen(gesamt - grundkosten, &verbraeuche))
        .map(|(grund, verbrauch)| grund + verbrauch)
        .collect()
}
