//! Which client versions the gateway serves, and the command that installs a newer one.

use serde::Deserialize;

use crate::wire::version::{Rule, Upgrade};

/// `[version]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Versions {
    /// The oldest version that is served; default `0.0.0`.
    pub oldest: Option<String>,
    /// The version that clients should have; default: the gateway's own.
    pub wants: Option<String>,
    /// The commands that install it.
    pub upgrade: Upgrade,
}

impl Versions {
    /// Which versions are served.
    ///
    /// # Errors
    /// The text that is not a version.
    pub fn rule(&self) -> Result<Rule, String> {
        let oldest = self.oldest.as_deref().unwrap_or("0.0.0");
        let mut rule = Rule::new(oldest, env!("CARGO_PKG_VERSION"), self.upgrade.clone())?;
        rule.wants = match &self.wants {
            Some(wants) => Rule::new(wants, wants, Upgrade::default())?.wants,
            None => rule.wants.max(rule.oldest.clone()),
        };
        Ok(rule)
    }
}
