//! The same files from a folder, a repository and an archive are one package; caches are verified.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::archive::{self, Archive};
use crate::cache::{Cache, CacheError, Kind};
use crate::description::Description;
use crate::manifest::At;
use crate::selection::Selection;
use crate::tree::Tree;
use crate::{folder, git, sign};

fn run(folder: &Path, arguments: &[&str]) {
    let done = Command::new(arguments[0])
        .args(&arguments[1..])
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(done.status.success(), "{arguments:?}: {done:?}");
}

fn commit(folder: &Path) {
    run(folder, &["git", "add", "-A"]);
    let who = ["-c", "user.name=x", "-c", "user.email=x@example.net"];
    let commit = ["commit", "-qm", "x"];
    run(folder, &[&["git"], &who[..], &commit[..]].concat());
}

/// A deterministic generator.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap()
    }
}

/// Files with various names, modes and bytes, and links between them.
fn write_some(folder: &Path, random: &mut Random) {
    for number in 0..4 + random.below(8) {
        let deep = ["", "a/", "a/b c/", "\u{e4}/"][random.below(4)];
        let path = folder.join(format!("{deep}{number}-\u{fc}.md"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if random.below(5) == 0 {
            symlink("elsewhere", &path).unwrap();
            continue;
        }
        let length = random.below(3000);
        let bytes: Vec<u8> = (0..length)
            .map(|_| b"\r\n\0ab$\xff"[random.below(7)])
            .collect();
        fs::write(&path, bytes).unwrap();
        let mode = [0o644, 0o600, 0o755, 0o664, 0o700][random.below(5)];
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write(folder.join(".gitignore"), "out\n").unwrap();
    fs::write(folder.join(".gitattributes"), "*.md text eol=crlf\n").unwrap();
}

#[test]
fn a_folder_a_repository_and_an_archive_have_one_content() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let selection = Selection::default();
    let takes = |path: &str| selection.takes(path);
    for _ in 0..12 {
        let place = tempfile::tempdir().unwrap();
        let work = place.path().join("work");
        fs::create_dir(&work).unwrap();
        write_some(&work, &mut random);
        let of_folder = folder::read(&work, &takes).unwrap();
        run(&work, &["git", "init", "-q"]);
        // git stores the original bytes, whatever it does in a work tree.
        run(&work, &["git", "config", "core.autocrlf", "false"]);
        fs::remove_file(work.join(".gitattributes")).unwrap();
        commit(&work);
        fs::write(work.join(".gitattributes"), "*.md text eol=crlf\n").unwrap();
        let of_git = git::tree(&work, "HEAD", None, &takes).unwrap();
        let description = Description {
            format: 1,
            name: "x".into(),
            version: "1.0.0".into(),
            content: of_folder.content(),
            files: Description::list(&of_folder),
            ..Description::default()
        };
        let written = archive::write(&Archive::new(description, of_folder.clone())).unwrap();
        let of_archive = archive::read(&written).unwrap();
        let unpacked = place.path().join("unpacked");
        folder::write(&of_archive.tree, &unpacked).unwrap();
        let of_unpacked = folder::read(&unpacked, &takes).unwrap();
        for other in [&of_git, &of_archive.tree, &of_unpacked] {
            assert_eq!(of_folder.first_difference(other), None);
            assert_eq!(of_folder.content(), other.content());
        }
        folder::remove(&unpacked).unwrap();
    }
}

fn repository() -> (tempfile::TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    let work = place.path();
    fs::create_dir_all(work.join("ops/manual")).unwrap();
    fs::write(work.join("ops/manual/a.md"), "one\n").unwrap();
    fs::write(work.join("README.md"), "r\n").unwrap();
    run(work, &["git", "init", "-q"]);
    commit(work);
    run(work, &["git", "tag", "v1.0.0"]);
    let url = format!("file://{}", work.display());
    (place, url)
}

#[test]
fn a_repository_is_fetched_by_tag_or_revision_and_a_folder_of_it_read() {
    let (place, url) = repository();
    let cache = tempfile::tempdir().unwrap();
    let into = cache.path().join("git");
    let tag = At::Tag("v1.0.0".into());
    let revision = git::fetch(&url, &tag, &into).unwrap();
    let tree = git::tree(&into, &revision, Some("ops"), &|_| true).unwrap();
    assert_eq!(tree.text("manual/a.md"), Some("one\n"));
    assert_eq!(tree.len(), 1);
    fs::write(place.path().join("ops/manual/a.md"), "two\n").unwrap();
    commit(place.path());
    run(place.path(), &["git", "tag", "-f", "v1.0.0"]);
    let old = git::fetch(&url, &At::Revision(revision.clone()), &into).unwrap();
    assert_eq!(old, revision);
    let moved = git::fetch(&url, &tag, &into).unwrap();
    assert_ne!(moved, revision);
    let again = cache.path().join("again");
    assert_eq!(
        git::fetch(&url, &At::Revision(old.clone()), &again).unwrap(),
        old
    );
    let tags = git::tags(&url).unwrap();
    assert_eq!(tags, [("v1.0.0".to_owned(), moved)]);
    let none = git::fetch(&url, &At::Tag("v9".into()), &into).unwrap_err();
    assert_eq!(none.code, "git-failed");
}

#[test]
fn what_a_package_cannot_have_is_refused_in_a_repository() {
    let (place, _) = repository();
    let work = place.path();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    fs::write(work.join("big.whl"), pointer).unwrap();
    commit(work);
    let refused = git::tree(work, "HEAD", None, &|_| true).unwrap_err();
    assert_eq!(
        (refused.code, refused.message.contains("`big.whl`")),
        ("lfs-pointer", true)
    );
    fs::remove_file(work.join("big.whl")).unwrap();
    symlink("/etc/passwd", work.join("link")).unwrap();
    commit(work);
    let refused = git::tree(work, "HEAD", None, &|_| true).unwrap_err();
    assert_eq!(refused.message, "`link` is a link to an absolute path");
    fs::remove_file(work.join("link")).unwrap();
    let head = git::revision(work, "HEAD").unwrap();
    let link = format!("160000,{head},sub");
    run(
        work,
        &["git", "update-index", "--add", "--cacheinfo", &link],
    );
    run(
        work,
        &[
            "git",
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@y",
            "commit",
            "-qm",
            "s",
        ],
    );
    let refused = git::tree(work, "HEAD", None, &|_| true).unwrap_err();
    assert_eq!(refused.code, "submodule");
}

#[test]
fn what_was_changed_in_the_cache_is_not_used() {
    let place = tempfile::tempdir().unwrap();
    let cache = Cache::at(place.path());
    let mut tree = Tree::default();
    let entry = crate::tree::Entry::file(false, b"one\n".to_vec());
    tree.add("manual/a.md", entry).unwrap();
    let content = tree.content();
    assert!(cache.get(Kind::Packages, &content).unwrap().is_none());
    let kept = cache.keep(Kind::Packages, &content, &tree).unwrap();
    assert_eq!(cache.keep(Kind::Packages, &content, &tree).unwrap(), kept);
    assert_eq!(
        cache.get(Kind::Packages, &content).unwrap().unwrap().1,
        tree
    );
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&kept), mode(&kept.join("manual/a.md"))),
        (0o555, 0o444)
    );
    let open = |mode| {
        fs::set_permissions(kept.join("manual"), fs::Permissions::from_mode(mode)).unwrap();
    };
    open(0o755);
    fs::remove_file(kept.join("manual/a.md")).unwrap();
    fs::write(kept.join("manual/a.md"), "two\n").unwrap();
    let differs = cache.keep(Kind::Packages, &content, &tree).unwrap_err();
    assert!(matches!(differs, CacheError::Differs { first, .. } if first == "manual/a.md"));
    assert!(cache.get(Kind::Packages, &content).is_err());
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o777)).unwrap();
    let theirs = cache.get(Kind::Packages, &content).unwrap_err();
    assert!(matches!(theirs, CacheError::NotOurs(_)));
}

#[test]
fn a_signature_is_of_one_text_by_one_who_is_named() {
    let place = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let path = place.path().join(name);
        let file = path.to_str().unwrap();
        run(
            place.path(),
            &[
                "ssh-keygen",
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "",
                "-f",
                file,
            ],
        );
        (
            path.clone(),
            fs::read_to_string(path.with_extension("pub")).unwrap(),
        )
    };
    let (release, public) = key("release");
    let (stranger, theirs) = key("stranger");
    let signers = place.path().join("signers");
    let say = |text: String| fs::write(&signers, text).unwrap();
    say(format!("release@example.net {public}"));
    let signature = sign::sign("text\n", &release).unwrap();
    let who = sign::verify("text\n", &signature, &signers);
    assert_eq!(who.as_deref(), Ok("release@example.net"));
    assert!(sign::verify("texT\n", &signature, &signers).is_err());
    let other = sign::sign("text\n", &stranger).unwrap();
    assert!(sign::verify("text\n", &other, &signers).is_err());
    say(format!("release@example.net namespaces=\"file\" {public}"));
    assert!(sign::verify("text\n", &signature, &signers).is_err());
    say(format!(
        "release@example.net valid-before=\"20200101\" {public}"
    ));
    assert!(sign::verify("text\n", &signature, &signers).is_err());
    // The same key under an expired name and under a valid one.
    say(format!(
        "old@example.net valid-before=\"20200101\" {public}new@example.net {public}x {theirs}"
    ));
    let who = sign::verify("text\n", &signature, &signers);
    assert_eq!(who.as_deref(), Ok("new@example.net"));
    assert!(sign::verify("text\n", "no signature", &signers).is_err());
}
