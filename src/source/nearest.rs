//! Which name was probably meant.

/// The known name that was probably meant, if one is near enough to say so.
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
        // As many changes at least as one is longer: asked first, for texts of any length.
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
