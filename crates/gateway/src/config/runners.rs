//! What runners of other machines get.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// How long a runner's certificate is good, where nobody says it.
const LIFE: Duration = Duration::from_hours(7 * 24);
const LONGEST_LIFE: Duration = Duration::from_hours(366 * 24);

/// The segment of the gateway's own machine.
pub const HERE: &str = "here";

/// `[runners]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Runners {
    /// The folder of the authority that vouches for them; `tls` in the state folder where it is
    /// absent. Gateways on one store share it.
    pub authority: Option<PathBuf>,
    /// How long a certificate is good, `7d`. A runner gets another one long before.
    pub certificate: Option<String>,
}

impl Runners {
    /// How long a runner's certificate is good.
    ///
    /// # Errors
    /// Where it is no time, or an odd one.
    pub fn life(&self) -> Result<Duration, String> {
        let Some(text) = &self.certificate else {
            return Ok(LIFE);
        };
        let life = crate::manual::duration(text);
        let life = life.map_err(|why| format!("`runners.certificate`: {why}"))?;
        if life < Duration::from_secs(1) || life > LONGEST_LIFE {
            let why = "`runners.certificate`: it is between a second and a year".to_owned();
            return Err(why);
        }
        Ok(life)
    }
}
