//! A procedure over several sections.

use crate::lab::Lab;

#[test]
fn its_steps_run_in_the_order_of_the_page() {
    let lab = Lab::new(
        "# P\n\n## Install\n\n```yaml procedure\nid: p\nthrough: \"Start: all\"\n```\n\n```sh step\necho one\n```\n\n## Configure\n\n```sh step\necho two\n```\n\n## Start: all\n\n```sh step\necho three\n```\n\n## After\n\nWords.\n",
    );
    lab.opsbook(&["lint"]).ended(0);
    let said = lab.opsbook(&["run", "p", "here"]);
    said.ended(0)
        .has("  | one\n")
        .has("  | two\n")
        .has("  | three\n");
}
