//! Procedures over several machines: the chapter of our own manual and one more page, run as
//! they stand against the real services, on machines that are killed, cut off and restarted on
//! the way; and cheap machines for what has to be tried hundreds of times.

mod cheap;
mod died;
mod etcd;
mod raced;
mod site;
mod switchover;
mod upgrade;
