//! Where a runner finds the files of a manual.

use serde::{Deserialize, Serialize};

/// The source of a manual's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Source {
    /// A folder that the gateway and the runner share. Only in segment `here`.
    Folder {
        /// Absolute.
        path: String,
    },
    /// `GET /v1/runner/manual/{manual}/{sha256}.tar`
    Archive {
        /// SHA-256 of the archive.
        sha256: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_by_its_kind() {
        let folder = Source::Folder { path: "/m".into() };
        let text = r#"{"kind":"folder","path":"/m"}"#;
        assert_eq!(serde_json::to_string(&folder).unwrap(), text);
        assert_eq!(serde_json::from_str::<Source>(text).unwrap(), folder);
    }
}
