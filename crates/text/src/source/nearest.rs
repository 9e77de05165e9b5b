//! Guesses which name was meant.

/// The known name that was probably meant, if one is similar enough.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = written.chars().count();
    let allowed = match length {
        0..=2 => 1,
        3..=6 => 2,
        _ => 3,
    };
    known
        .into_iter()
        // Compare lengths first, which is cheap for texts of any length: the distance is at least
        // their difference.
        .filter(|name| name.chars().count().abs_diff(length) <= allowed)
        .map(|name| {
            (
                strsim::damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, name)| *distance <= allowed && *distance < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The known name that was certainly meant: one letter differs, or two of a long name. Short names
/// are excluded.
#[must_use]
pub fn misspelt<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = match written.chars().count() {
        0..=3 => return None,
        4..=9 => 1,
        _ => 2,
    };
    let far = |name: &str| strsim::damerau_levenshtein(written, name) > allowed;
    nearest(written, known).filter(|name| !far(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("nginx", ["ngnix", "apache"]), Some("ngnix"));
        assert_eq!(nearest("x", ["step", "check"]), None);
        assert_eq!(
            nearest("web.deply", ["web.deploy", "web.rollback"]),
            Some("web.deploy")
        );
    }
}
