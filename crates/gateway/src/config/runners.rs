//! Settings for runners on other machines.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// The default lifetime of a runner's certificate.
const LIFE: Duration = Duration::from_hours(7 * 24);
const LONGEST_LIFE: Duration = Duration::from_hours(366 * 24);
const SHORTEST_LEASE: Duration = Duration::from_secs(1);
const LONGEST_LEASE: Duration = Duration::from_hours(1);

/// The segment of the gateway's own machine.
pub const HERE: &str = "here";

/// The durations of leases, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leases {
    /// Of a lease, after each message of its runner.
    pub lasts: i64,
    /// From its end until the part is offered to other runners.
    pub adopt_after: i64,
}

impl Default for Leases {
    fn default() -> Leases {
        Leases {
            lasts: 30_000,
            adopt_after: 60_000,
        }
    }
}

/// `[runners]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Runners {
    /// The folder of the certificate authority; default: `tls` in the state folder. Gateways with a
    /// common store share it.
    pub authority: Option<PathBuf>,
    /// The lifetime of a certificate, `7d`. A runner renews it long before.
    pub certificate: Option<String>,
    /// The duration of a lease after each message of its runner, `30s`. Then the part is *unseen*.
    pub lease: Option<String>,
    /// How long after the end of its lease a part is offered to other runners, `60s`.
    pub adopt_after: Option<String>,
}

impl Runners {
    /// The durations of leases.
    ///
    /// # Errors
    /// If one of the two is not a valid time.
    pub fn leases(&self) -> Result<Leases, String> {
        let of = |name: &str, text: &Option<String>, usual: i64| {
            let Some(text) = text else { return Ok(usual) };
            let time =
                crate::manual::duration(text).map_err(|why| format!("`runners.{name}`: {why}"))?;
            if time < SHORTEST_LEASE || time > LONGEST_LEASE {
                return Err(format!(
                    "`runners.{name}` must be between a second and an hour"
                ));
            }
            Ok(i64::try_from(time.as_millis()).unwrap_or(usual))
        };
        let usual = Leases::default();
        Ok(Leases {
            lasts: of("lease", &self.lease, usual.lasts)?,
            adopt_after: of("adopt_after", &self.adopt_after, usual.adopt_after)?,
        })
    }

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
            let why = "`runners.certificate` must be between a second and a year".to_owned();
            return Err(why);
        }
        Ok(life)
    }
}
