//! Problems silenced at a place.

use crate::lab::Lab;

#[test]
fn lint_counts_what_was_silenced_and_names_what_does_nothing() {
    let lab = Lab::new(
        "# P\n\n[a](nowhere.md)\n\n<!-- opsbook: silence foreign-word -->\n```sh title=x\ntrue\n```\n",
    );
    lab.opsbook(&["lint"])
        .ended(2)
        .has("nowhere.md")
        .has("[broken-link]\n")
        .has("1 error, 0 warnings, 1 allowed");
    lab.write("book.toml", "[book]\ntitle = \"T\"\nsrc = \"manual\"\n[preprocessor.opsbook]\nsilence = [\"broken-link manual/*\"]\n");
    lab.opsbook(&["lint"])
        .ended(0)
        .has("0 errors, 0 warnings, 2 allowed");
    lab.page("# P\n");
    let said = lab.opsbook(&["lint"]);
    said.ended(0)
        .has("book.toml:5:12: warning: there is no problem `broken-link` here to silence")
        .has("0 errors, 1 warning");
    lab.opsbook(&["lint", "--strict"]).ended(2);
}

#[test]
fn what_would_run_wrongly_is_not_silenced() {
    let lab = Lab::new(
        "# P\n\n```yaml procedure\nid: p\n```\n\nDo:\n\n<!-- opsbook: silence unknown-attribute -->\n```sh step timout=1s\ntouch ROOM/done\n```\n",
    );
    lab.opsbook(&["lint"])
        .ended(2)
        .has("unknown attribute `timout`")
        .has("cannot be silenced");
    lab.opsbook(&["run", "p", "here"])
        .ended(2)
        .has("unknown attribute `timout`");
    assert!(!lab.path("done").exists());
}
