//! Values arrive unchanged, or are refused before anything is sent.

use opsbook::session::{Limits, Script, Session, Values};

use super::{Shells, bounded, err, find, out, sh_with};
use crate::sshd::options;

#[tokio::test]
async fn values_arrive_unchanged() {
    let nasty = [
        "",
        " ",
        "plain",
        "it's",
        "\"$HOME\" `id` $(id) \\ \\n",
        "a\nb\n\n",
        "-n",
        "*",
        "~",
        "é\u{202e}x",
        "'\n'",
        "$'x'",
        "a;b&c|d>e<f",
        "%s%n",
        "!!",
        "#",
    ];
    Shells::each(async |session| {
        for interpreter in ["sh", "bash"] {
            let mut values = Values::new();
            for (number, value) in nasty.iter().enumerate() {
                values.insert(&format!("v{number}"), *value).unwrap();
            }
            let text: String = (0..nasty.len())
                .map(|number| format!("printf '%s\\0' \"$v{number}\"\n"))
                .collect();
            let script = Script::new(interpreter, text.as_str());
            let done = session
                .run(&script, &values, Limits::seconds(20))
                .await
                .unwrap();
            let got: Vec<_> = out(&done).split_terminator('\0').collect();
            assert_eq!(got, nasty, "{interpreter} {}", err(&done));
        }
        let mut values = Values::new();
        values.insert("big", "x".repeat(300_000)).unwrap();
        assert_eq!(
            out(&sh_with(&session, "echo ${#big}", &values, Limits::seconds(20)).await),
            "300000\n"
        );
    })
    .await;
}

#[tokio::test]
async fn values_reach_python_as_environment() {
    let Some(_) = find("python3") else { return };
    let session = Session::local(&options()).await.unwrap();
    let mut values = Values::new();
    values.insert("name", "it's\n$x").unwrap();
    let script = Script::new("python3", "import os\nprint(repr(os.environ['name']))\n1/0");
    let done = bounded(session.run(&script, &values, Limits::seconds(20)))
        .await
        .unwrap();
    assert_eq!(out(&done), "\"it's\\n$x\"\n");
    assert!(
        err(&done).contains("File \"script\", line 3"),
        "{}",
        err(&done)
    );
    session.close().await;
}

#[tokio::test]
async fn a_nul_byte_is_refused_before_anything_is_sent() {
    let session = Session::local(&options()).await.unwrap();
    let script = Script::new("sh", "true\necho a\0b");
    let refused = session
        .run(&script, &Values::new(), Limits::default())
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "script contains a NUL byte in line 2, which no shell can read"
    );
    let error = Values::new().insert("a", "x\0").unwrap_err();
    assert_eq!(
        error.to_string(),
        "value of `a` contains a NUL byte, which no shell variable can hold"
    );
    session.close().await;
}
