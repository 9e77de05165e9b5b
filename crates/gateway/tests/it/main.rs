//! ! The gateway from outside: the store on both databases, and the interface.

#![expect(clippy::unwrap_used, reason = "tests")]

/// Runs each test on each store.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::served::On::Sqlite).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(url) = crate::postgres::database(stringify!($name)) {
                    super::$name(crate::served::On::Postgres(url)).await;
                }
            })+
        }
    };
}

pub(crate) use on_both;

mod adapters;
mod approvals;
mod blobs;
mod certificates;
mod console;
mod doorbell;
#[path = "../../../book/tests/browser/drive.rs"]
#[allow(
    dead_code,
    clippy::pedantic,
    reason = "the book's tests ask more of a browser"
)]
mod drive;
mod fleet;
mod interface;
mod lab;
mod logins;
mod many;
mod names;
mod postgres;
mod provider;
mod record;
mod schedules;
mod served;
mod set_back;
mod several;
#[path = "../../../book/tests/browser/skip.rs"]
#[allow(
    dead_code,
    clippy::pedantic,
    reason = "the book's tests ask more of it"
)]
mod skip;
mod store;
mod sync;
mod tls;
mod written;
