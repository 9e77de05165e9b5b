//! Probes of timers, failed units and the clock, with `systemctl` and similar tools.

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table of facts")]
fn timer_and_failed_units() {
    let node = plain().file("run/systemd/system/x", "").tools(&["date"]).stub(
        "systemctl",
        r#"case $* in
*list-units*shop*) printf 'shop-web.service loaded failed failed Shop\nshop-db.service loaded failed failed Shop\n' ;;
*list-units*) ;;
*Result*job.service*) printf 'Result=exit-code\nActiveState=failed\nInactiveEnterTimestampMonotonic=5\n' ;;
*Result*busy*) printf 'Result=success\nActiveState=activating\nInactiveEnterTimestampMonotonic=5\n' ;;
*Result*) printf 'Result=success\nActiveState=inactive\nInactiveEnterTimestampMonotonic=0\n' ;;
*backup*) printf 'LoadState=loaded\nActiveState=active\nSubState=waiting\nUnitFileState=enabled\nUnit=job.service\nLastTriggerUSec=%s UTC\n' "$(date -u -d "@$(($(date +%s) - 100))" '+%a %Y-%m-%d %H:%M:%S')" ;;
*newer*) printf 'LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nUnit=busy.service\nLastTriggerUSec=@%s\n' "$(($(date +%s) - 100))" ;;
*leap*) printf 'LoadState=loaded\nActiveState=active\nLastTriggerUSec=Thu 2024-02-29 23:59:59 UTC\n' ;;
*zone*) printf 'LoadState=loaded\nActiveState=active\nLastTriggerUSec=Thu 2024-02-29 23:59:59 IST\n' ;;
*idle*) printf 'LoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\nUnit=idle.service\nLastTriggerUSec=\n' ;;
*over*) printf 'LoadState=loaded\nActiveState=active\nSubState=elapsed\nUnitFileState=bad\n' ;;
*bus*) echo 'Failed to connect to bus: Permission denied'; exit 1 ;;
*) printf 'LoadState=not-found\nActiveState=inactive\n' ;;
esac"#,
    );
    let since = jiff::Timestamp::now().as_second() - 1_709_251_199;
    let leap = format!(
        "timer: {{leap: {{age: {{and: [{{ge: {since}}}, {{lt: {}}}]}}}}}}",
        since + 600
    );
    table(&node, &[(&leap, "holds")]);
    table(
        &node,
        &[
            (
                "timer: {backup: {enabled: true, running: true, result: exit-code, age: {and: [{ge: 100}, {lt: 200}]}}}",
                "holds",
            ),
            ("timer: {backup.timer: {running: true}}", "holds"),
            (
                "timer: {idle: {enabled: true}}",
                "enabled: expected true, found false",
            ),
            (
                "timer: {idle: {age: {lt: 9}}}",
                "age: expected < 9, found nothing: it has never gone off",
            ),
            (
                "timer: {newer: {age: {and: [{ge: 100}, {lt: 200}]}}}",
                "holds",
            ),
            (
                "timer: {zone: {age: {gt: 0}}}",
                "cannot look: this systemd does not report when it last ran",
            ),
            (
                "timer: {idle: {result: success}}",
                "cannot look: its service has not run since the node started",
            ),
            (
                "timer: {newer: {result: {not: exit-code}}}",
                "cannot look: its service runs now",
            ),
            (
                "timer: {over: {running: true}}",
                "running: expected true, found false: it has gone off, and will not do so again",
            ),
            (
                "timer: {over: {enabled: false}}",
                "cannot look: systemd cannot read its file",
            ),
            (
                "timer: {bus: {exists: false}}",
                "cannot look: systemctl: Failed to connect to bus: Permission denied",
            ),
            ("timer: {none: {}}", "exists: expected true, found false"),
            ("failed-units: {all: {}}", "holds"),
            ("failed-units: {'shop-*': {}}", "count: expected 0, found 2"),
            (
                "failed-units: {'shop-*': {count: 2, units: {contain-element: shop-db.service}}}",
                "holds",
            ),
        ],
    );
    table(
        &plain(),
        &[
            (
                "timer: {x: {exists: false}}",
                "cannot look: systemd does not run here",
            ),
            (
                "failed-units: {all: {}}",
                "cannot look: systemd does not run here",
            ),
        ],
    );
}

#[test]
fn time_sync() {
    let chrony = plain().stub(
        "chronyc",
        "echo 'C0000201,192.0.2.1,3,1700000000.0,-0.000012,0.00001,0.0002,1.2,0.0,0.1,0.01,0.001,64.2,Normal'",
    );
    table(
        &chrony,
        &[
            (
                "time-sync: {clock: {offset: {lt: 0.1}, source: 192.0.2.1}}",
                "holds",
            ),
            (
                "time-sync: {clock: {offset: {gt: 1}}}",
                "offset: expected > 1, found 0.000012",
            ),
        ],
    );
    let ntpd = plain().stub("ntpq", "echo 'leap=11, refid=INIT, offset=-12.5'");
    table(
        &ntpd,
        &[
            (
                "time-sync: {clock: {}}",
                "synchronized: expected true, found false",
            ),
            (
                "time-sync: {clock: {synchronized: false, offset: 0.0125}}",
                "holds",
            ),
        ],
    );
    let alone = plain().stub(
        "chronyc",
        "echo '7F7F0101,,10,1700000000.0,0.0,0.0,0.0,1.2,0.0,0.1,0.01,0.001,64.2,Normal'",
    );
    table(
        &alone,
        &[
            (
                "time-sync: {clock: {}}",
                "synchronized: expected true, found false: it follows only itself",
            ),
            ("time-sync: {clock: {synchronized: false}}", "holds"),
        ],
    );
    let odd = plain().stub(
        "chronyc",
        "echo 'C0000201,192.0.2.1,3,0,0,0,0,0,0,0,0,0,0,Sideways'",
    );
    table(
        &odd,
        &[(
            "time-sync: {clock: {synchronized: false}}",
            "cannot look: chronyc says `Sideways`",
        )],
    );
    let timedatectl = plain()
        .stub("chronyc", "echo '506 Cannot talk to daemon'; exit 1")
        .stub("timedatectl", "echo NTPSynchronized=yes");
    table(
        &timedatectl,
        &[
            ("time-sync: {clock: {}}", "holds"),
            (
                "time-sync: {clock: {offset: 0}}",
                "cannot look: the probe does not report `offset`",
            ),
        ],
    );
    table(
        &plain(),
        &[(
            "time-sync: {clock: {synchronized: false}}",
            "cannot look: no `chronyc`, `ntpq` or `timedatectl` that answers",
        )],
    );
}
