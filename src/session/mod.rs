//! Reaching a node: one open POSIX `sh` on one channel, spoken to in frames; ssh, local and
//! exec under it. Knows no manual, no plan, no journal.
