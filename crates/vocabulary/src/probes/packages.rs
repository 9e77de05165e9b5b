//! Probes of packages and of their pending actions, with each system's tools.

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table of facts")]
fn package() {
    let debian = plain()
        .file("etc/debian_version", "12\n")
        .file("var/lib/dpkg/status", "Package: nginx\n")
        .stub(
            "dpkg-query",
            r#"for name; do :; done
case $name in
nginx) echo 'installed 1.24.0-2' ;;
libc6) echo 'installed 2.36'; echo 'installed 2.35' ;;
gone) echo 'config-files 1.0' ;;
waits) echo 'triggers-pending 1.0' ;;
half) echo 'half-configured 1.0' ;;
odd) echo 'sideways 1.0' ;;
silent) ;;
killed) kill -9 $$ ;;
broken) echo 'dpkg-query: error: cannot read' >&2; exit 2 ;;
*) echo "dpkg-query: no packages found matching $name" >&2; exit 1 ;;
esac"#,
        );
    table(
        &debian,
        &[
            (
                "package: {nginx: {installed: true, versions: [1.24.0-2]}}",
                "holds",
            ),
            (
                "package: {libc6: {versions: {consist-of: ['2.36', '2.35']}}}",
                "holds",
            ),
            ("package: {gone: {installed: false}}", "holds"),
            ("package: {waits: {versions: ['1.0']}}", "holds"),
            (
                "package: {half: {installed: true}}",
                r#"installed: expected true, found "half-configured""#,
            ),
            (
                "package: {half: {installed: false}}",
                r#"installed: expected false, found "half-configured""#,
            ),
            (
                "package: {odd: {installed: false}}",
                "cannot look: dpkg says that it is `sideways`",
            ),
            (
                "package: {silent: {installed: false}}",
                "cannot look: dpkg-query says nothing about it",
            ),
            (
                "package: {apache2: {}}",
                "installed: expected true, found false",
            ),
            (
                "package: {nginx: {versions: ['1.25']}}",
                r#"versions: expected containing ["1.25"], found ["1.24.0-2"]"#,
            ),
            (
                "package: {broken: {installed: false}}",
                "cannot look: dpkg-query: error: cannot read",
            ),
        ],
    );
    let redhat = plain().file("etc/redhat-release", "9\n").stub(
        "rpm",
        r#"for name; do :; done
case $name in
-qa) echo nginx ;;
nginx) echo '1:1.20.1-14.el9' ;;
db) echo 'error: cannot open Packages database'; echo 'package db is not installed'; exit 1 ;;
silent) ;;
*) echo "package $name is not installed"; exit 1 ;;
esac"#,
    );
    table(
        &redhat,
        &[
            ("package: {nginx: {versions: ['1:1.20.1-14.el9']}}", "holds"),
            ("package: {httpd: {installed: false}}", "holds"),
            (
                "package: {db: {installed: false}}",
                "cannot look: error: cannot open Packages database",
            ),
            (
                "package: {silent: {installed: false}}",
                "cannot look: rpm says nothing about it",
            ),
        ],
    );
}

#[test]
fn package_of_other_systems() {
    let alpine = plain()
        .file("etc/alpine-release", "3.20\n")
        .file("lib/apk/db/installed", "")
        .stub(
            "apk",
            r"case $* in
'info -e nginx') echo nginx ;;
'info -e local') echo local ;;
'info -e locked') echo 'ERROR: Unable to lock database' >&2; exit 99 ;;
'version nginx') printf 'Installed:    Available:\nnginx-1.26.1-r0   = 1.26.1-r0\n' ;;
*) exit 1 ;;
esac",
        );
    table(
        &alpine,
        &[
            ("package: {nginx: {versions: [1.26.1-r0]}}", "holds"),
            ("package: {curl: {installed: false}}", "holds"),
            ("package: {local: {}}", "holds"),
            (
                "package: {local: {versions: [x]}}",
                "cannot look: the probe does not report `versions`",
            ),
            (
                "package: {locked: {installed: false}}",
                "cannot look: apk ended without an answer: ERROR: Unable to lock database",
            ),
        ],
    );
    let arch = plain().file("etc/arch-release", "").stub(
        "pacman",
        r#"case ${2-} in '' | nginx) echo 'nginx 1.26.1-1' ;; *) echo "error: package '$2' was not found"; exit 1 ;; esac"#,
    );
    table(
        &arch,
        &[
            ("package: {nginx: {versions: [1.26.1-1]}}", "holds"),
            ("package: {curl: {installed: false}}", "holds"),
        ],
    );
    table_without(
        &plain(),
        &[
            (
                "package: {nginx: {installed: false}}",
                "cannot look: no `dpkg-query`, `rpm`, `apk` or `pacman`",
            ),
            (
                "package: {nginx: {manager: rpm, installed: false}}",
                "cannot look: no `rpm`",
            ),
        ],
    );
}

#[test]
fn reboot_required() {
    let debian = plain()
        .file("run/reboot-required", "*** System restart required ***\n")
        .file("run/reboot-required.pkgs", "linux-image\nlibc6\n");
    table(
        &debian,
        &[
            (
                "reboot-required: {node: {}}",
                "required: expected false, found true",
            ),
            (
                "reboot-required: {node: {required: true, packages: [libc6]}}",
                "holds",
            ),
        ],
    );
    let calm = plain()
        .file("etc/debian_version", "12\n")
        .file("etc/kernel/postinst.d/unattended-upgrades", "");
    table(&calm, &[("reboot-required: {node: {}}", "holds")]);
    let silent = plain().file("etc/debian_version", "12\n");
    let unknown = "cannot look: this system does not record whether a restart is needed: neither \
        `unattended-upgrades` nor `update-notifier-common` is installed";
    table(&silent, &[("reboot-required: {node: {}}", unknown)]);
    let redhat = plain()
        .file("etc/redhat-release", "")
        .stub("needs-restarting", "echo 'Core libraries or services have been updated:'; echo '  * kernel'; echo 'Reboot is required'; exit 1");
    table(
        &redhat,
        &[(
            "reboot-required: {node: {required: true, packages: [kernel]}}",
            "holds",
        )],
    );
    let broken = plain().file("etc/redhat-release", "").stub(
        "needs-restarting",
        "echo 'cannot open the database' >&2; exit 1",
    );
    table(
        &broken,
        &[(
            "reboot-required: {node: {}}",
            "cannot look: cannot open the database",
        )],
    );
    let alpine = plain()
        .file("lib/modules/6.6.0/x", "")
        .stub("uname", "echo 6.1.0");
    table(
        &alpine,
        &[(
            "reboot-required: {node: {}}",
            "required: expected false, found true",
        )],
    );
    table(
        &plain(),
        &[(
            "reboot-required: {node: {}}",
            "cannot look: nothing on this system reports it",
        )],
    );
}
