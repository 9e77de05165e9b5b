//! Which versions of a program are served, and the message to one that is too old. Pure.

use serde::{Deserialize, Serialize};

/// How a program was installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Installed {
    /// A Debian package.
    Deb,
    /// `cargo install`.
    Cargo,
    /// An unpacked archive; also if unknown.
    #[default]
    #[serde(other)]
    Archive,
}

impl Installed {
    /// Parses the header's value.
    #[must_use]
    pub fn of(text: Option<&str>) -> Installed {
        match text {
            Some("deb") => Installed::Deb,
            Some("cargo") => Installed::Cargo,
            _ => Installed::Archive,
        }
    }

    /// The header's value.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Installed::Deb => "deb",
            Installed::Cargo => "cargo",
            Installed::Archive => "archive",
        }
    }
}

/// The served and the wanted versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The oldest version that is served.
    pub oldest: semver::Version,
    /// The version that clients should have.
    pub wants: semver::Version,
    /// The command that installs the wanted version, with the placeholder `{wants}`.
    pub upgrade: Upgrade,
}

/// The commands that install the wanted version, by kind of installation. `{wants}` in them is
/// replaced by the version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upgrade {
    /// For a Debian package.
    pub deb: String,
    /// For `cargo install`.
    pub cargo: String,
    /// For an archive.
    pub archive: String,
}

impl Default for Upgrade {
    fn default() -> Upgrade {
        Upgrade {
            deb: "apt-get install opsbook={wants}-1".into(),
            cargo: "cargo install opsbook --version {wants} --locked".into(),
            archive: "replace `opsbook` by version {wants}".into(),
        }
    }
}

/// The decision about a client's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Serve it silently.
    Serve,
    /// Serve it, and report that it is older than wanted.
    Older {
        /// The command that installs the wanted version.
        upgrade: String,
    },
    /// Refuse it.
    TooOld {
        /// The command that installs the wanted version.
        upgrade: String,
    },
    /// Its interface is older than the one that is served.
    OldInterface {
        /// The command that installs the wanted version.
        upgrade: String,
    },
    /// Its interface is newer than the one that is served.
    NewInterface,
    /// Its version or its interface is invalid.
    Unreadable,
}

impl Rule {
    /// Serves all versions from `oldest` on.
    ///
    /// # Errors
    /// The text that is not a version.
    pub fn new(oldest: &str, wants: &str, upgrade: Upgrade) -> Result<Rule, String> {
        let read = |text: &str| semver::Version::parse(text).map_err(|_| text.to_owned());
        Ok(Rule {
            oldest: read(oldest)?,
            wants: read(wants)?,
            upgrade,
        })
    }

    /// Decides. A client without a version, such as a browser, is served: its code comes from the
    /// gateway. A program that sends its version must also send its interface.
    #[must_use]
    pub fn judge(&self, have: Option<&str>, api: Option<&str>, installed: Installed) -> Verdict {
        let api = api.map_or(Ok(crate::API), str::parse::<u32>);
        let have = have.map(semver::Version::parse).transpose();
        let (Ok(api), Ok(have)) = (api, have) else {
            return Verdict::Unreadable;
        };
        if api > crate::API {
            return Verdict::NewInterface;
        }
        if api < crate::API {
            let upgrade = self.command(installed);
            return Verdict::OldInterface { upgrade };
        }
        let Some(have) = have else {
            return Verdict::Serve;
        };
        if have < self.oldest {
            let upgrade = self.command(installed);
            Verdict::TooOld { upgrade }
        } else if have < self.wants {
            let upgrade = self.command(installed);
            Verdict::Older { upgrade }
        } else {
            Verdict::Serve
        }
    }

    /// Whether a program of this version is no longer served.
    #[must_use]
    pub fn is_too_old(&self, have: &str) -> bool {
        semver::Version::parse(have).is_ok_and(|have| have < self.oldest)
    }

    /// The command that installs the wanted version.
    #[must_use]
    pub fn command(&self, installed: Installed) -> String {
        let template = match installed {
            Installed::Deb => &self.upgrade.deb,
            Installed::Cargo => &self.upgrade.cargo,
            Installed::Archive => &self.upgrade.archive,
        };
        template.replace("{wants}", &self.wants.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_served_is_a_table() {
        let rule = Rule::new("0.3.0", "0.4.2", Upgrade::default()).unwrap();
        let deb = "apt-get install opsbook=0.4.2-1";
        let cargo = "cargo install opsbook --version 0.4.2 --locked";
        let too_old = |text: &str| Verdict::TooOld {
            upgrade: text.into(),
        };
        let older = |text: &str| Verdict::Older {
            upgrade: text.into(),
        };
        for (have, api, installed, expected) in [
            (None, None, "", Verdict::Serve),
            (None, Some("1"), "", Verdict::Serve),
            (None, Some("2"), "", Verdict::NewInterface),
            (None, Some("one"), "", Verdict::Unreadable),
            (None, Some("-1"), "", Verdict::Unreadable),
            (
                Some("0.4.2"),
                Some("0"),
                "deb",
                Verdict::OldInterface {
                    upgrade: deb.into(),
                },
            ),
            (Some("0.2.9"), Some("1"), "deb", too_old(deb)),
            (Some("0.2.9"), Some("1"), "cargo", too_old(cargo)),
            (Some("0.2.9"), None, "deb", too_old(deb)),
            (Some("0.3.0-rc.1"), Some("1"), "deb", too_old(deb)),
            (Some("0.3.0"), Some("1"), "deb", older(deb)),
            (Some("0.4.1"), Some("1"), "cargo", older(cargo)),
            (
                Some("0.4.1"),
                Some("1"),
                "?",
                older("replace `opsbook` by version 0.4.2"),
            ),
            (Some("0.4.2"), Some("1"), "deb", Verdict::Serve),
            // A newer client is served as long as it speaks this interface.
            (Some("1.0.0"), Some("1"), "deb", Verdict::Serve),
            (Some("1.0.0"), Some("2"), "deb", Verdict::NewInterface),
            (Some("new"), Some("1"), "deb", Verdict::Unreadable),
            (Some(""), Some("1"), "deb", Verdict::Unreadable),
        ] {
            let said = rule.judge(have, api, Installed::of(Some(installed)));
            assert_eq!(said, expected, "{have:?} {api:?} {installed}");
        }
    }

    #[test]
    fn a_rule_has_versions() {
        assert_eq!(
            Rule::new("0.3", "0.4.2", Upgrade::default()),
            Err("0.3".to_owned())
        );
    }
}
