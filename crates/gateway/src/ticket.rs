//! The ticket tool: it is asked whether a ticket allows a run, and informed about the run's result.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::adapter::Adapter;
use crate::secret::Secret;
use crate::wire::{Ask, Kind, Problem};

/// `[ticket]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Ticket {
    /// The tool.
    pub adapter: Adapter,
    /// Whether a run needs a ticket.
    pub needed: Needed,
}

/// Whether a run needs a ticket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Needed {
    /// Tickets are checked only if one is named.
    #[default]
    Never,
    /// Each run that a person or a program orders. Schedules need none.
    Always,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: String,
    command: Option<String>,
    url: Option<String>,
    token: Option<Secret>,
    #[serde(default)]
    needed: Needed,
}

impl TryFrom<Written> for Ticket {
    type Error = String;

    fn try_from(written: Written) -> Result<Ticket, String> {
        let Written {
            kind,
            command,
            url,
            token,
            needed,
        } = written;
        let adapter = Adapter::new(&kind, command, url, token)?;
        Ok(Ticket { adapter, needed })
    }
}

/// The answer to `check`.
#[derive(Deserialize)]
struct Checked {
    ok: bool,
    #[serde(default)]
    detail: String,
}

impl Ticket {
    /// Reports the result of a run.
    ///
    /// # Errors
    /// Why the report failed.
    pub async fn note(&self, about: &Value) -> Result<(), String> {
        let mut note = about.clone();
        note["verb"] = "note".into();
        self.adapter.ask(&note).await.map(drop)
    }

    /// Checks that the ticket allows the order. Without an answer, nothing is allowed.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn check(&self, ask: &Ask, by: &str, gateway: &str) -> Result<(), Box<Problem>> {
        let problem = |kind, detail: String| Box::new(Problem::new(kind, detail));
        let Some(ticket) = &ask.ticket else {
            if self.needed == Needed::Never {
                return Ok(());
            }
            let detail = "this run needs a ticket: `--ticket`".to_owned();
            return Err(problem(Kind::NotAllowed, detail));
        };
        let question = json!({
            "verb": "check",
            "gateway": gateway,
            "ticket": ticket,
            "procedure": ask.procedure,
            "nodes": ask.nodes,
            "reason": ask.reason,
            "by": by,
        });
        let answer = self.adapter.ask(&question).await;
        let away = |why: String| {
            problem(
                Kind::Unavailable,
                format!("cannot ask whether the ticket `{ticket}` allows it: {why}"),
            )
        };
        let checked: Result<Checked, _> = serde_json::from_str(&answer.map_err(away)?);
        let strange = format!(
            "the answer of {} is not one of a ticket adapter",
            self.adapter
        );
        let checked = checked.map_err(|_| away(strange))?;
        if checked.ok {
            return Ok(());
        }
        let detail = crate::outside::line(&checked.detail).to_string();
        let detail: String = detail.chars().take(500).collect();
        Err(problem(
            Kind::NotAllowed,
            format!("the ticket `{ticket}` does not allow it: {detail}"),
        ))
    }
}
