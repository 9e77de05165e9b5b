//! Recorded suites and runs, compared with the current manual.

use crate::manual;
use crate::project::Place;

use super::present::Present;
use super::results::{self, Results};
use super::runs::{self, Runs};

/// All of it; empty if nothing is recorded.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) results: Results,
    pub(super) runs: Runs,
}

impl Recorded {
    /// Runs and evaluates nothing of the manual.
    pub(super) fn load(place: &Place) -> Recorded {
        let (settings, _) = manual::load_settings(&place.files);
        let state = place.state(&settings);
        let (suites, journals) = (results::any(&state), runs::any(&state));
        if !suites && !journals {
            return Recorded::default();
        }
        let present = Present::read(place);
        Recorded {
            results: Results::load(&state, &present),
            runs: Runs::load(&state, &present),
        }
    }
}
