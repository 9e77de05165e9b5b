//! What a typed assertion asks and how facts decide it: the probes in `checks/` and the
//! matchers. Pure: probes are texts here; a session runs them.

/// One typed assertion, understood: which probe to run with which arguments, and what its
/// facts must be.
#[derive(Clone, Debug)]
pub struct Assertion {}
