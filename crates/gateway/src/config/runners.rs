//! Settings for runners on other machines.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// The default lifetime of a runner's certificate.
const LIFE: Duration = Duration::from_hours(7 * 24);
const LONGEST_LIFE: Duration = Duration::from_hours(366 * 24);

/// The segment of the gateway's own machine.
pub const HERE: &str = "here";

/// `[runners]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Runners {
    /// The folder of the certificate authority; default: `tls` in the state folder. Gateways with a
    /// common store share it.
    pub authority: Option<PathBuf>,
    /// The lifetime of a certificate, `7d`. A runner renews it long before.
    pub certificate: Option<String>,
}

impl Runners {
    /// The lifetime of a runner's certificate.
    ///
    /// # Errors
    /// If it is not a valid time.
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
