//! Procedures over several nodes: our manual's chapter and one more page, run unchanged with the
//! real services, on nodes that are killed, cut off and restarted meanwhile; and cheap nodes for
//! tests with hundreds of repetitions.

mod cheap;
mod died;
mod etcd;
mod raced;
mod site;
mod switchover;
mod upgrade;
