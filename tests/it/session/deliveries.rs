//! Files and folders: delivered completely, or with a reason why not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use opsbook::session::{Content, DeliverError, Session};

use super::{Shells, bounded, never, out, sh};
use crate::sshd::{Special, Sshd, options, or_skip};

async fn delivered(session: &Session, dir: &Path, content: &[u8], name: &str) {
    let path = dir.join(name);
    session
        .deliver(
            path.to_str().unwrap(),
            Content::Bytes(content),
            0o640,
            never(),
        )
        .await
        .unwrap();
    assert!(fs::read(&path).unwrap() == content, "{name} differs");
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap());
    assert_eq!(mode & 0o7777, 0o640);
}

fn contents() -> [(&'static str, Vec<u8>); 5] {
    let all: Vec<u8> = (0..=255).collect();
    [
        ("empty", Vec::new()),
        ("text", b"it's $x `y` \\n\n\n".to_vec()),
        ("binary", all.repeat(3)),
        ("parts", all.repeat(900)),
        ("big", all.repeat(12_000)),
    ]
}

#[tokio::test]
async fn files_are_delivered_whole() {
    Shells::each(async |session| {
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("copy");
        for (name, content) in contents() {
            delivered(&session, dir.path(), &content, name).await;
            let source = dir.path().join(name);
            let file = fs::File::open(&source).unwrap();
            let sent = Content::File(&source, &file);
            let sent = session.deliver(copy.to_str().unwrap(), sent, 0o600, never());
            sent.await.unwrap();
            assert!(fs::read(&copy).unwrap() == content, "copy of {name}");
        }
        delivered(&session, dir.path(), b"again", "text").await;
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            6,
            "a temporary file is left"
        );
    })
    .await;
}

#[tokio::test]
async fn files_are_delivered_over_ssh() {
    for config in ["", "MaxSessions 1"] {
        let special = Special {
            config: config.to_owned(),
            ..Special::default()
        };
        let Some(server) = or_skip("deliver", Sshd::special(&special)) else {
            return;
        };
        let session = bounded(Session::open(&server.transport(), &options()))
            .await
            .unwrap();
        let dir = server.home();
        for (name, content) in contents() {
            bounded(delivered(&session, &dir, &content, name)).await;
            let source = dir.join(name);
            let file = fs::File::open(&source).unwrap();
            let sent = Content::File(&source, &file);
            let sent = session.deliver("copy", sent, 0o600, never());
            bounded(sent).await.unwrap();
            assert!(fs::read(dir.join("copy")).unwrap() == content, "{name}");
        }
        assert_eq!(out(&sh(&session, "echo alive").await), "alive\n");
        session.close().await;
    }
}

#[tokio::test]
async fn a_large_file_is_proven_by_whatever_the_node_has() {
    let sum = "sha256:".to_owned() + &"a".repeat(64);
    for (openssl, lies) in [
        ("exit 127", false),
        (&*format!("echo {sum} '*stdin'"), true),
    ] {
        let Some(server) = or_skip("proof", Sshd::start()) else {
            return;
        };
        let program = server.dir.path().join("bin/openssl");
        fs::write(&program, format!("#!/bin/sh\n{openssl}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let session = bounded(Session::open(&server.transport(), &options()))
            .await
            .unwrap();
        let source = server.dir.path().join("source");
        fs::write(&source, vec![7; 5_000_000]).unwrap();
        let file = fs::File::open(&source).unwrap();
        let content = Content::File(&source, &file);
        let sent = bounded(session.deliver("large", content, 0o640, never())).await;
        assert_eq!(
            matches!(sent, Err(DeliverError::Checksum { .. })),
            lies,
            "{sent:?}"
        );
        assert_eq!(sent.is_ok(), !lies);
        let left = fs::read_dir(server.home()).unwrap().count();
        assert_eq!(left, usize::from(!lies), "something is left");
        session.close().await;
    }
}

#[tokio::test]
async fn a_folder_arrives_whole_and_replaces_what_was_there() {
    Shells::each(async |session| {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("folder");
        let archive = dir.path().join("archive");
        for (name, content) in contents() {
            let mut tar = tar::Builder::new(fs::File::create(&archive).unwrap());
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o750);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, format!("deep/{name}"), &content[..])
                .unwrap();
            tar.finish().unwrap();
            let sent = session.deliver_folder(place.to_str().unwrap(), &archive, never());
            sent.await.unwrap();
            let file = place.join("deep").join(name);
            assert!(fs::read(&file).unwrap() == content, "{name} differs");
            assert_eq!(fs::read_dir(place.join("deep")).unwrap().count(), 1);
        }
        fs::write(&archive, [7; 300_000]).unwrap();
        let sent = session.deliver_folder(place.to_str().unwrap(), &archive, never());
        let error = sent.await.unwrap_err();
        assert!(matches!(error, DeliverError::Node { .. }), "{error}");
        assert!(place.join("deep/big").exists(), "the old one is gone");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_delivered_is_told_and_leaves_nothing() {
    Shells::each(async |session| {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        fs::create_dir(dir.path().join("dir")).unwrap();
        for (name, expected) in [("dir", "is a directory"), ("none/file", "")] {
            for content in [&b"x"[..], &[b'x'; 400_000]] {
                let error = session
                    .deliver(&path(name), Content::Bytes(content), 0o600, never())
                    .await
                    .unwrap_err();
                assert!(
                    matches!(&error, DeliverError::Node { said, .. } if said.exact().contains(expected)),
                    "{error}"
                );
            }
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    })
    .await;
}
