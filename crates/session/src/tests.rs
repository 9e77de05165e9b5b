//! Sessions on this machine's own shell.

use super::*;

async fn here() -> Session {
    Session::local(&OpenOptions::default()).await.unwrap()
}

#[tokio::test]
async fn a_script_gives_its_status_and_output() {
    let session = here().await;
    let script = Script::new("sh", "printf 'a\\000b'; echo oops >&2; exit 3");
    let done = session
        .run(&script, &Values::new(), Limits::default())
        .await
        .unwrap();
    assert_eq!(
        (done.status, done.out.as_slice(), done.err.as_slice()),
        (3, &b"a\0b"[..], &b"oops\n"[..])
    );
    session.close().await;
    assert!(!Path::new(&session.hello().dir).exists());
    assert_eq!(session.lost().await, Lost::Closed);
}
