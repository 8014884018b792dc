use heizkosten::aufteilen;

#[test]
fn glatte_teilung() {
    assert_eq!(aufteilen(1000, &[1, 1, 2]), vec![250, 250, 500]);
}

/// Niemand zahlt einen ganzen Cent mehr oder weniger als seinen genauen Anteil.
#[test]
fn niemand_wird_benachteiligt() {
    for betrag in 0..400u64 {
        let gewichte = [7, 7, 7, 5, 3, 3, 1];
        let summe: u64 = gewichte.iter().sum();
        for (cent, g) in aufteilen(betrag, &gewichte).iter().zip(gewichte) {
            let genau = betrag as f64 * g as f64 / summe as f64;
            assert!((*cent as f64 - genau).abs() < 1.0, "{betrag}: {cent} statt {genau:.3}");
        }
    }
}
