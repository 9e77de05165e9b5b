//! Written archives can be read; all other input is refused, and the reader never reads more than
//! listed.

use super::*;
use crate::description::{File, Part};

fn sample() -> Archive {
    let mut tree = Tree::default();
    let long = format!("manual/{}/{}.md", "a".repeat(90), "b".repeat(90));
    for (path, entry) in [
        ("book.toml", Entry::file(false, b"[book]\n".to_vec())),
        ("checks/q.sh", Entry::file(true, b"#!/bin/sh\n".to_vec())),
        ("empty", Entry::file(false, Vec::new())),
        (&long, Entry::file(false, vec![b'x'; 1024])),
        (
            "link",
            Entry {
                mode: Mode::Link,
                bytes: b"checks/q.sh".to_vec(),
            },
        ),
        ("packages/base/a.md", Entry::file(false, b"base\n".to_vec())),
    ] {
        tree.add(path, entry).unwrap();
    }
    archive_of(tree)
}

fn archive_of(tree: Tree) -> Archive {
    let base = tree.below("packages/base");
    let mut description = Description {
        format: FORMAT,
        name: "shop".into(),
        version: "1.4.2".into(),
        files: Description::list(&tree),
        packages: vec![Part {
            name: "base".into(),
            version: "1.0.0".into(),
            from: "git+https://example.net/base?tag=v1.0.0#00".into(),
            content: base.content(),
        }],
        ..Description::default()
    };
    description.content = description.own(&tree).content();
    Archive::new(description, tree)
}

fn tar_of(archive: &Archive) -> Vec<u8> {
    let mut tar = Vec::new();
    write_tar(archive, &mut tar).unwrap();
    tar
}

fn packed(tar: &[u8]) -> Vec<u8> {
    zstd::encode_all(tar, 3).unwrap()
}

#[track_caller]
fn refused(tar: &[u8]) -> String {
    match read(&packed(tar)) {
        Err(Bad::Archive(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_archive_is_read_back_and_is_the_same_each_time() {
    let mut archive = sample();
    for signature in [None, Some("-----BEGIN SSH SIGNATURE-----\n".to_owned())] {
        archive.signature = signature;
        let bytes = write(&archive).unwrap();
        assert_eq!(bytes, write(&archive).unwrap());
        assert_eq!(read(&bytes).unwrap(), archive);
        // Another compression level makes the same archive.
        assert_eq!(read(&packed(&tar_of(&archive))).unwrap(), archive);
    }
}

#[test]
fn other_tools_can_list_it() {
    let bytes = write(&sample()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.opsbook");
    std::fs::write(&path, bytes).unwrap();
    let listed = std::process::Command::new("tar")
        .args(["--zstd", "-tvf"])
        .arg(&path)
        .output()
        .unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.status.success(), "{text}");
    assert_eq!(text.lines().count(), 7, "{text}");
    assert!(text.contains("-rwxr-xr-x 0/0"), "{text}");
    assert!(text.contains("link -> checks/q.sh"), "{text}");
}

/// The same archive with a different list, sorted and with a correct hash.
fn saying(change: impl FnOnce(&mut Vec<File>)) -> Vec<u8> {
    let mut archive = sample();
    change(&mut archive.description.files);
    archive.text = archive.description.text();
    tar_of(&archive)
}

fn file(path: &str, size: u64) -> File {
    File {
        path: path.to_owned(),
        mode: "644".to_owned(),
        size,
        sha256: Some(tree::sha256(b"")),
        target: None,
        tracked: true,
    }
}

#[test]
fn a_list_that_says_dangerous_things_is_refused_before_anything_is_read() {
    for (path, why) in [
        ("../outside", "leads out of the package"),
        ("a/../../b", "leads out of the package"),
        ("/etc/cron.d/x", "is absolute"),
        (".git/hooks/post-checkout", "is in a folder of git"),
        ("a\\b", "has `\\` in its name"),
        ("a\u{7f}b", "has a control character"),
    ] {
        let tar = saying(|files| files.insert(0, file(path, 0)));
        let found = refused(&tar);
        assert!(found.starts_with("entry 1 lists a file: "), "{found}");
        assert!(found.contains(why), "{found}");
    }
    let tar = saying(|files| files.push(file("zzz", 10 << 30)));
    assert!(
        refused(&tar).contains("entry 1 lists more than 6"),
        "{}",
        refused(&tar)
    );
    let tar = saying(|files| files.extend([file("y", u64::MAX), file("z", u64::MAX)]));
    assert!(refused(&tar).contains("lists more than"));
    let tar = saying(|files| files.insert(1, files[0].clone()));
    assert_eq!(
        refused(&tar),
        "entry 1 lists `book.toml` twice, or not in order"
    );
    let tar = saying(|files| files.reverse());
    assert!(refused(&tar).contains("twice, or not in order"));
    let tar = saying(|files| files[0].mode = "4755".to_owned());
    assert_eq!(refused(&tar), "entry 2 has an invalid mode");
}

#[test]
fn case_twins_and_links_out_are_refused() {
    let bad = |path: &str, entry: Entry| {
        let mut archive = sample();
        let mut list = archive.description.files.clone();
        list.push(File::of(path, &entry));
        list.sort_by(|a, b| a.path.cmp(&b.path));
        archive.description.files = list;
        archive.text = archive.description.text();
        // Write by hand what a tree does not accept.
        let mut tar = Vec::new();
        let text = archive.text.clone().into_bytes();
        write_entry(DESCRIPTION, &Entry::file(false, text), &mut tar).unwrap();
        for listed in &archive.description.files {
            let own = archive.tree.get(&listed.path).unwrap_or(&entry);
            write_entry(&listed.path, own, &mut tar).unwrap();
        }
        tar.extend([0; 2 * BLOCK]);
        refused(&tar)
    };
    let plain = || Entry::file(false, b"x".to_vec());
    let link = |to: &str| Entry {
        mode: Mode::Link,
        bytes: to.into(),
    };
    assert!(bad("Book.toml", plain()).contains("are one file where"));
    assert!(bad("empty/x", plain()).contains("is a file and a folder"));
    assert!(bad("link/x", plain()).contains("is a file and a folder"));
    assert!(bad("l", link("/etc/shadow")).contains("is a link to an absolute path"));
    assert!(bad("l", link("../x")).contains("leads out of the package"));
    assert!(bad("l", link("checks/../../x")).contains("in the middle of its target"));
    assert!(bad("new", plain()).contains("do not match its hash"));
    assert!(bad("packages/base/new", plain()).contains("package `base` does not match its hash"));
}

#[test]
fn what_the_list_does_not_say_is_refused() {
    let tar = tar_of(&sample());
    let second = BLOCK + sample().text.len().next_multiple_of(BLOCK);
    for (kind, name) in [
        (b'1', "a hard link"),
        (b'3', "a device"),
        (b'4', "a device"),
        (b'5', "a folder"),
        (b'6', "a pipe"),
        (b'L', "an unsupported tar extension"),
        (b'x', "an unsupported tar extension"),
        (b'S', "a sparse file"),
    ] {
        let mut tar = tar.clone();
        tar[second + 156] = kind;
        let found = format!("entry 2 is {name}, `book.toml`, but the list has `book.toml`");
        assert_eq!(refused(&tar), found);
    }
    // Set-uid, another owner, a time: no header may have them.
    for at in [100, 108, 116, 136, 265, 500] {
        let mut tar = tar.clone();
        tar[second + at] ^= 4;
        assert!(refused(&tar).starts_with("entry 2 is a file"), "{at}");
    }
    let end = tar.len() - 2 * BLOCK;
    let more = [&tar[..end], &tar[second..second + 2 * BLOCK], &tar[end..]].concat();
    assert_eq!(
        refused(&more),
        "entry 8 is a file, `book.toml`, which is not in the list"
    );
    let behind = [&tar[..], &[0; BLOCK]].concat();
    assert_eq!(refused(&behind), "entry 8 is where the archive should end");
    assert!(refused(&tar[..end + BLOCK]).contains("is incomplete"));
    assert!(refused(b"").contains("entry 1 is incomplete"));
}

#[test]
fn an_archive_that_unpacks_to_more_than_it_can_be_is_not_unpacked() {
    let mut tree = Tree::default();
    tree.add("zeros", Entry::file(false, vec![0; 70 << 20]))
        .unwrap();
    let bytes = write(&archive_of(tree)).unwrap();
    assert!(bytes.len() < 100_000);
    let Err(Bad::Archive(why)) = read(&bytes) else {
        panic!()
    };
    assert!(why.starts_with("entry 1 lists more than "), "{why}");
    // An archive without a stated size is truncated.
    let endless = zstd::encode_all(io::repeat(b'x').take(200 << 20), 1).unwrap();
    assert!(read(&endless).is_err());
    for noise in [&b""[..], b"no archive", b"\x28\xb5\x2f\xfd"] {
        assert!(matches!(read(noise), Err(Bad::Archive(_))));
    }
}

#[test]
fn a_newer_form_says_so() {
    let mut archive = sample();
    archive.description.format = 2;
    archive.text = archive.description.text();
    assert_eq!(read(&packed(&tar_of(&archive))), Err(Bad::TooNew(2)));
}

/// A changed byte is either detected or has no effect.
#[test]
fn no_changed_byte_gives_another_archive() {
    let archive = sample();
    let tar = tar_of(&archive);
    let compressed = write(&archive).unwrap();
    // A deterministic generator.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    for round in 0..1500 {
        let (mut bytes, is_tar) = if round % 2 == 0 {
            (tar.clone(), true)
        } else {
            (compressed.clone(), false)
        };
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            match random(3) {
                0 => bytes[at] ^= 1 << random(8),
                1 => bytes.truncate(at.max(1)),
                _ => {
                    let until = (at + random(700)).min(bytes.len());
                    let part = bytes[at..until].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
        let bytes = if is_tar { packed(&bytes) } else { bytes };
        if let Ok(read) = read(&bytes) {
            // The rest of the description may have changed: the signature covers it.
            assert_eq!(read.tree, archive.tree, "round {round}");
            let same = read.description == archive.description;
            assert!(same || read.signed_text() != archive.signed_text());
        }
    }
}
