use std::os::unix::fs::symlink;

use super::*;

/// A project next to another one.
fn project() -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("project");
    std::fs::create_dir_all(root.join("deep")).unwrap();
    std::fs::create_dir_all(root.join(".git")).unwrap();
    for (path, text) in [
        ("page.md", "page"),
        ("deep/page.md", "deep page"),
        (".git/config", "token"),
        (".env", "token"),
        ("../outside.md", "outside-words"),
    ] {
        std::fs::write(root.join(path), text).unwrap();
    }
    let files = Files::of(&root);
    (folder, files)
}

fn said(files: &Files, path: &str) -> String {
    match files.public_text(Path::new(path)) {
        Ok(text) => text,
        Err(why) => why.to_string(),
    }
}

#[test]
fn utf_16_is_no_text_with_or_without_its_mark() {
    let (_folder, files) = project();
    let bytes = |order: fn(u16) -> [u8; 2], text: &str| {
        text.encode_utf16().flat_map(order).collect::<Vec<u8>>()
    };
    for text in ["# Page\n", "\u{feff}# Page\n"] {
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            std::fs::write(files.root().join("page.md"), bytes(order, text)).unwrap();
            assert_eq!(said(&files, "page.md"), "line 1 of it is not UTF-8 text");
        }
    }
}

#[test]
fn only_regular_files_of_the_project_are_read() {
    let (_folder, files) = project();
    let root = files.root().to_owned();
    for (link, to) in [
        ("inside.md", "deep/page.md"),
        ("folder", "deep"),
        ("out.md", "../outside.md"),
        ("up", ".."),
        ("environ.md", "/proc/self/environ"),
        ("zero.md", "/dev/zero"),
        ("gone.md", "/nowhere/x"),
        ("twice.md", "out.md"),
        ("git.md", ".git/config"),
        ("env.md", ".env"),
        ("loop.md", "loop.md"),
    ] {
        symlink(to, root.join(link)).unwrap();
    }
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("fifo.md"),
        rustix::fs::FileType::Fifo,
        Mode::RUSR,
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket.md")).unwrap();
    for (path, expected) in [
        ("page.md", "page"),
        ("deep/../page.md", "page"),
        ("inside.md", "deep page"),
        ("folder/page.md", "deep page"),
        (
            "out.md",
            "`out.md` is a link to `../outside.md`, outside the project",
        ),
        (
            "up/outside.md",
            "`up` is a link to `..`, outside the project",
        ),
        (
            "environ.md",
            "`environ.md` is a link to `/proc/self/environ`, outside the project",
        ),
        (
            "zero.md",
            "`zero.md` is a link to `/dev/zero`, outside the project",
        ),
        (
            "gone.md",
            "`gone.md` is a link to `/nowhere/x`, outside the project",
        ),
        (
            "twice.md",
            "`twice.md` is a link to `out.md`, outside the project",
        ),
        ("../outside.md", "it is outside the project"),
        ("../nothing.md", "it is outside the project"),
        ("/etc/hostname", "it is outside the project"),
        ("git.md", "it leads to `.git/config`, which looks private"),
        (
            ".git/config",
            "it leads to `.git/config`, which looks private",
        ),
        ("env.md", "it leads to `.env`, which looks private"),
        ("nothing.md", "there is no such file"),
        ("deep", "it is a folder, not a regular file"),
        ("fifo.md", "it is a FIFO, not a regular file"),
        ("socket.md", "it is a socket, not a regular file"),
    ] {
        assert_eq!(said(&files, path), expected, "{path}");
    }
    assert!(said(&files, "loop.md").contains("symbolic link"));
}

#[test]
fn a_file_that_was_exchanged_for_a_link_is_not_followed() {
    let (_folder, files) = project();
    let real = files.real(Path::new("deep/page.md")).unwrap();
    std::fs::remove_file(&real).unwrap();
    symlink("../../outside.md", &real).unwrap();
    assert!(open_real(&files.project, &real).is_err());
    std::fs::remove_dir_all(real.parent().unwrap()).unwrap();
    symlink("..", real.parent().unwrap()).unwrap();
    assert!(open_real(&files.project, &real).is_err());
}

#[test]
fn a_text_is_bounded() {
    let (_folder, files) = project();
    let read = |most| files.text(Path::new("page.md"), most);
    assert_eq!(read(4), Ok("page".to_owned()));
    assert_eq!(read(3), Err(Refused::TooLarge(1)));
}

#[test]
fn the_project_is_the_work_tree_or_the_folder() {
    let (folder, files) = project();
    let deep = files.root().join("deep");
    let text = |files: Files| files.public_text(Path::new("../page.md"));
    assert_eq!(text(Files::of(&deep)), Ok("page".to_owned()));
    assert_eq!(text(Files::below(&deep)), Err(Refused::Outside));
    drop(folder);
}

#[test]
fn what_looks_private_is_not_for_readers() {
    for (file, private) in [
        ("images/rack.png", false),
        ("deploying/docker-compose.yml", false),
        (".env", true),
        (".git/config", true),
        ("nodes.yaml", true),
        ("nodes/prod.yaml", true),
        ("tls/site.key", true),
        ("id_ed25519.pub", true),
        ("db-passwords.txt", true),
    ] {
        assert_eq!(is_private(Path::new(file)), private, "{file}");
    }
}

#[test]
fn a_text_that_is_not_saved_takes_the_place_of_what_the_disk_has() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("manual");
    std::fs::create_dir_all(root.join("sub")).unwrap();
    std::fs::write(root.join("page.md"), "saved").unwrap();
    std::fs::write(folder.path().join("elsewhere"), "not ours").unwrap();
    std::os::unix::fs::symlink("page.md", root.join("link.md")).unwrap();
    let unsaved = ["page.md", "sub/../new.md", "../elsewhere", ".git/config"];
    let unsaved = unsaved.map(|path| (PathBuf::from(path), format!("unsaved {path}")));
    let files = Files::of(&root).with_unsaved(unsaved);
    let text = |path: &str| files.text(Path::new(path), MAX_TEXT);
    assert_eq!(text("page.md"), Ok("unsaved page.md".to_owned()));
    assert_eq!(text("./sub/../page.md"), Ok("unsaved page.md".to_owned()));
    assert_eq!(text("link.md"), Ok("unsaved page.md".to_owned()));
    assert_eq!(text("new.md"), Ok("unsaved sub/../new.md".to_owned()));
    assert_eq!(text("../elsewhere"), Err(Refused::Outside));
    assert_eq!(text("other.md"), Err(Refused::Missing));
    assert_eq!(
        files.text(Path::new("page.md"), 3),
        Err(Refused::TooLarge(1))
    );
    assert!(files.is_file(Path::new("new.md")));
    let public = |path: &str| files.public_text(Path::new(path));
    assert_eq!(public("page.md"), Ok("unsaved page.md".to_owned()));
    assert_eq!(public("new.md"), Ok("unsaved sub/../new.md".to_owned()));
    // The disk is unchanged, and so is a view without these texts.
    assert_eq!(
        Files::of(&root).text(Path::new("page.md"), MAX_TEXT),
        Ok("saved".to_owned())
    );
}
