//! Verifies that a part's work was approved. The runner verifies each signature with its own list
//! of signers, and passes the signed hash to the `opsbook` that makes the plan again. So neither
//! the gateway nor anybody who can write its store can run something that nobody has approved.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use opsbook_package::sign::is_signed_by;
use opsbook_text::outside;
use opsbook_wire::approve::{AFTER_BEGIN, ApprovalOut, Consent, Statement, manner, namespace};
use opsbook_wire::{Mode, Work, limit};

/// The most approvals of a part that are verified.
const MOST: usize = 50;

/// Whose approvals count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approvers {
    /// Their keys, in the format of ssh's `allowed_signers`.
    pub signers: PathBuf,
    /// The name of the gateway for which they approve.
    pub gateway: String,
    /// How many approvals every part needs, regardless of the manual.
    pub always: u32,
    /// Whether the gateway's statements about the approvers' groups are trusted.
    pub groups: Groups,
}

/// The source of a person's groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Groups {
    /// Only the manual's rules.
    #[default]
    Rules,
    /// Also the gateway, which has them from an identity provider.
    Gateway,
}

/// Somebody who has approved a part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Approver {
    /// The person.
    pub person: String,
    /// Their trusted groups, in addition to those of the rules.
    pub groups: Vec<String>,
}

/// The people who have approved a part, or the reason why it must not run.
pub(crate) fn verified(
    approvers: Option<&Approvers>,
    work: &Work,
) -> Result<Vec<Approver>, String> {
    let Some(approvers) = approvers.filter(|_| work.mode != Mode::Release) else {
        return Ok(Vec::new());
    };
    let (mut people, mut over) = (BTreeSet::new(), None);
    if let Some(consent) = &work.consent {
        as_asked(consent, work)?;
        for approval in consent.approvals.iter().take(MOST) {
            match one(approvers, consent, approval, work)? {
                Holds::Yes => drop(people.insert(Approver {
                    person: approval.by.clone(),
                    groups: groups(approvers, approval),
                })),
                Holds::NoMore => over = Some(approval),
            }
        }
    }
    match over {
        Some(over) if people.is_empty() => {
            let (by, end) = (outside::line(&over.by), outside::line(&over.not_after));
            return Err(format!("the approval of `{by}` expired at {end}"));
        }
        _ => {}
    }
    let wanted = approvers.always;
    if people.len() < wanted as usize {
        let have = people.len();
        return Err(format!(
            "approvals that this runner needs: {wanted}, verified here: {have}"
        ));
    }
    Ok(people.into_iter().collect())
}

fn groups(approvers: &Approvers, approval: &ApprovalOut) -> Vec<String> {
    match approvers.groups {
        Groups::Rules => Vec::new(),
        Groups::Gateway => { approval.groups.iter().take(MOST) }
            .filter(|group| limit::is_name(group))
            .cloned()
            .collect(),
    }
}

enum Holds {
    Yes,
    NoMore,
}

/// The signed document also contains the options of the run.
fn as_asked(consent: &Consent, work: &Work) -> Result<(), String> {
    if consent.manner == manner(work.confirm, work.start_at, work.stop_after) {
        return Ok(());
    }
    Err("it would run with other options than the approved ones".to_owned())
}

fn one(
    approvers: &Approvers,
    consent: &Consent,
    approval: &ApprovalOut,
    work: &Work,
) -> Result<Holds, String> {
    let by = outside::line(&approval.by).to_string();
    if !limit::is_name(&approval.by) || approval.signature.len() > limit::TEXT {
        return Err(format!("the approval of `{by}` cannot be read"));
    }
    if approval.by == work.asked_by {
        return Err(format!("`{by}` both requested and approved it"));
    }
    let statement = Statement {
        run: &work.run,
        node: &work.node,
        sha256: &consent.sha256,
        asked_by: &work.asked_by,
        manner: &consent.manner,
        not_after: &approval.not_after,
    };
    let (namespace, text) = (namespace(&approvers.gateway), statement.text());
    is_signed_by(
        &approval.by,
        (&namespace, &text),
        &approval.signature,
        &approvers.signers,
    )
    .map_err(|why| format!("the signature of the approval of `{by}` does not match: {why}"))?;
    let end: Timestamp =
        { approval.not_after.parse() }.map_err(|_| format!("the approval of `{by}` has no end"))?;
    // A part that has begun may be continued as long as its node remembers it.
    let grace = match work.mode {
        Mode::Begin => SignedDuration::ZERO,
        Mode::Adopt | Mode::Release => SignedDuration::from_secs(AFTER_BEGIN),
    };
    if Timestamp::now().duration_since(end) < grace {
        Ok(Holds::Yes)
    } else {
        Ok(Holds::NoMore)
    }
}

#[cfg(test)]
mod tests {
    use opsbook_package::sign::sign_for;
    use opsbook_wire::Confirm;

    use super::*;

    struct Lab {
        folder: tempfile::TempDir,
        approvers: Approvers,
    }

    impl Lab {
        fn new() -> Lab {
            let folder = tempfile::tempdir().unwrap();
            let mut allowed = String::new();
            for person in ["bo", "cy", "eve"] {
                let path = folder.path().join(person);
                let made = std::process::Command::new("ssh-keygen")
                    .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                    .arg(&path)
                    .status();
                assert!(made.unwrap().success());
                let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
                if person != "eve" {
                    allowed += &format!("{person} {public}");
                }
            }
            let signers = folder.path().join("signers");
            std::fs::write(&signers, allowed).unwrap();
            Lab {
                folder,
                approvers: Approvers {
                    signers,
                    gateway: "gw".into(),
                    always: 0,
                    groups: Groups::Rules,
                },
            }
        }

        fn approval(&self, work: &Work, by: &str, key: &str, not_after: &str) -> ApprovalOut {
            let consent = work.consent.as_ref().unwrap();
            let statement = Statement {
                run: &work.run,
                node: &work.node,
                sha256: &consent.sha256,
                asked_by: &work.asked_by,
                manner: &consent.manner,
                not_after,
            };
            let key = self.folder.path().join(key);
            ApprovalOut {
                by: by.into(),
                signature: sign_for("opsbook-approve@gw", &statement.text(), &key).unwrap(),
                not_after: not_after.into(),
                groups: Vec::new(),
            }
        }
    }

    fn names(verified: Result<Vec<Approver>, String>) -> Result<Vec<String>, String> {
        verified.map(|all| all.into_iter().map(|by| by.person).collect())
    }

    fn work() -> Work {
        Work {
            asked_by: "ana".into(),
            consent: Some(Consent {
                sha256: "00".repeat(32),
                manner: manner(Confirm::Ask, None, None),
                approvals: Vec::new(),
            }),
            login: opsbook_wire::NodeLogin::Own,
            ..crate::folder::tests::work()
        }
    }

    fn in_hours(hours: i64) -> String {
        let end = Timestamp::now() + SignedDuration::from_hours(hours);
        end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    type Alter = fn(&mut Work);

    #[test]
    fn whatever_of_an_approval_is_altered_makes_it_none() {
        let lab = Lab::new();
        let mut good = work();
        let approval = lab.approval(&good, "bo", "bo", &in_hours(1));
        good.consent.as_mut().unwrap().approvals.push(approval);
        let says = |work: &Work| names(verified(Some(&lab.approvers), work));
        assert_eq!(says(&good).unwrap(), ["bo"]);
        let forgeries: [(&str, Alter, &str); 11] = [
            (
                "run",
                |work| work.run = "20261129-120000-ab13".into(),
                "does not match",
            ),
            ("node", |work| work.node = "db1".into(), "does not match"),
            (
                "sum",
                |work| work.consent.as_mut().unwrap().sha256 = "11".repeat(32),
                "does not match",
            ),
            (
                "who asked",
                |work| work.asked_by = "dee".into(),
                "does not match",
            ),
            (
                "approves their own",
                |work| work.asked_by = "bo".into(),
                "both requested and approved it",
            ),
            (
                "yes to all",
                |work| work.confirm = Confirm::Yes,
                "other options",
            ),
            (
                "from a later step",
                |work| work.start_at = Some(2),
                "other options",
            ),
            (
                "only some steps",
                |work| work.stop_after = Some(2),
                "other options",
            ),
            (
                "a longer time",
                |work| work.consent.as_mut().unwrap().approvals[0].not_after = in_hours(2),
                "does not match",
            ),
            (
                "another person",
                |work| work.consent.as_mut().unwrap().approvals[0].by = "cy".into(),
                "does not match",
            ),
            (
                "no signature",
                |work| {
                    work.consent.as_mut().unwrap().approvals[0]
                        .signature
                        .clear();
                },
                "does not match",
            ),
        ];
        for (what, alter, said) in forgeries {
            let mut forged = good.clone();
            alter(&mut forged);
            let why = says(&forged).unwrap_err();
            assert!(why.contains(said), "{what}: {why}");
        }
        let mut forged = good.clone();
        let by_nobody = lab.approval(&forged, "eve", "eve", &in_hours(1));
        forged.consent.as_mut().unwrap().approvals.push(by_nobody);
        assert!(says(&forged).unwrap_err().contains("`eve`"));
        // Without a list of signers it verifies nobody.
        assert_eq!(names(verified(None, &good)).unwrap(), [""; 0]);
    }

    #[test]
    fn an_approval_ends_before_the_beginning_and_not_in_the_middle() {
        let lab = Lab::new();
        let mut over = work();
        let approval = lab.approval(&over, "bo", "bo", &in_hours(-1));
        over.consent.as_mut().unwrap().approvals.push(approval);
        let says = |work: &Work| names(verified(Some(&lab.approvers), work));
        assert!(says(&over).unwrap_err().contains("expired at"));
        // A person continues it where it halted.
        (over.mode, over.epoch) = (Mode::Adopt, 2);
        assert_eq!(says(&over).unwrap(), ["bo"]);
        // Nobody has signed another start, or a stop.
        over.start_at = Some(2);
        assert!(says(&over).unwrap_err().contains("other options"));
        (over.start_at, over.stop_after) = (None, Some(2));
        assert!(says(&over).unwrap_err().contains("other options"));
        over.stop_after = None;
        over.confirm = Confirm::Yes;
        assert!(says(&over).unwrap_err().contains("other options"));
    }

    #[test]
    fn a_runner_may_want_approvals_whatever_it_is_told() {
        let mut lab = Lab::new();
        lab.approvers.always = 2;
        let mut work = work();
        let says = |work: &Work| names(verified(Some(&lab.approvers), work));
        for person in ["bo", "bo"] {
            let approval = lab.approval(&work, person, person, &in_hours(1));
            work.consent.as_mut().unwrap().approvals.push(approval);
        }
        assert!(
            says(&work)
                .unwrap_err()
                .contains("needs: 2, verified here: 1")
        );
        let approval = lab.approval(&work, "cy", "cy", &in_hours(1));
        work.consent.as_mut().unwrap().approvals.push(approval);
        assert_eq!(says(&work).unwrap(), ["bo", "cy"]);
        work.consent = None;
        assert!(says(&work).unwrap_err().contains("verified here: 0"));
        work.mode = Mode::Release;
        assert_eq!(says(&work).unwrap(), [""; 0]);
    }

    #[test]
    fn the_gateway_is_believed_about_groups_where_somebody_says_so() {
        let mut lab = Lab::new();
        let mut work = work();
        let mut approval = lab.approval(&work, "bo", "bo", &in_hours(1));
        approval.groups = vec!["oncall".into(), "a b".into()];
        work.consent.as_mut().unwrap().approvals.push(approval);
        let groups = |lab: &Lab| {
            let all = verified(Some(&lab.approvers), &work).unwrap();
            all[0].groups.clone()
        };
        assert_eq!(groups(&lab), [""; 0]);
        lab.approvers.groups = Groups::Gateway;
        assert_eq!(groups(&lab), ["oncall"]);
    }
}
