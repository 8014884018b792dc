use heizkosten::{abrechnen, Wohnung};
use std::{env, fs};

fn euro(cent: u64) -> String {
    format!("{},{:02} €", cent / 100, cent % 100)
}

fn main() {
    let argumente: Vec<String> = env::args().collect();
    let text = fs::read_to_string(&argumente[1]).expect("Datei nicht lesbar");
    let mut zeilen = text.lines();
    let gesamt: u64 = zeilen.next().unwrap().trim().parse().expect("Gesamtbetrag in Cent");
    let wohnungen: Vec<Wohnung> = zeilen
        .map(|zeile| {
            let feld: Vec<&str> = zeile.split(';').collect();
            Wohnung {
                name: feld[0].to_string(),
                flaeche: feld[1].parse().expect("Fläche"),
                verbrauch: feld[2].parse().expect("Verbrauch"),
            }
        })
        .collect();
    let kosten = abrechnen(gesamt, 30, &wohnungen);
    for (wohnung, cent) in wohnungen.iter().zip(&kosten) {
        println!("{:<12}{:>12}", wohnung.name, euro(*cent));
    }
    println!("{:<12}{:>12}", "Summe", euro(kosten.iter().sum()));
    println!("{:<12}{:>12}", "Rechnung", euro(gesamt));
}
