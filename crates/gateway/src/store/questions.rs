//! Questions of runs, and the first answer to each.

use sqlx::Row as _;
use wire::{AnswerIn, AnswerOut, PartKey, QuestionView};

use super::queue::bounded;
use super::{Store, StoreError, Tx, counted, stored};
use crate::wire;

/// A question in the journal.
pub(super) struct NewQuestion<'a> {
    pub(super) run: &'a str,
    pub(super) node: &'a str,
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) step: Option<usize>,
    pub(super) text: &'a str,
    pub(super) told: Option<&'a str>,
    pub(super) choices: &'a [String],
    pub(super) asked: &'a str,
}

/// The result of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Won {
    /// It is now the answer.
    This,
    /// There was an earlier one.
    Other {
        /// The answer.
        answer: String,
        /// The person who gave it.
        by: String,
    },
    /// It is none of the valid words.
    NoChoice(Vec<String>),
    /// The question is no longer open.
    Closed,
    /// The question does not exist.
    None,
}

impl Store {
    /// Stores an answer if it is the first.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn answer(&self, run: &str, answer: &AnswerIn, by: &str) -> Result<Won, StoreError> {
        let mut tx = self.begin().await?;
        self.lock_run(&mut tx, run).await?;
        let row = sqlx::query(
            "select state, answer, answered_by, choices from question \
             where run = $1 and node = $2 and epoch = $3 and seq = $4",
        )
        .bind(run)
        .bind(&answer.node)
        .bind(stored(answer.epoch))
        .bind(stored(answer.seq))
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(Won::None) };
        let before: Option<String> = row.try_get("answer")?;
        if let Some(before) = before {
            let first: Option<String> = row.try_get("answered_by")?;
            let first = first.unwrap_or_default();
            return Ok(if before == answer.answer && first == by {
                Won::This
            } else {
                Won::Other {
                    answer: before,
                    by: first,
                }
            });
        }
        let state: &str = row.try_get("state")?;
        if state != "open" {
            return Ok(Won::Closed);
        }
        let choices = choices(row.try_get("choices")?);
        if !choices.is_empty() && !choices.contains(&answer.answer) {
            return Ok(Won::NoChoice(choices));
        }
        sqlx::query(self.sql(
            "update question set state = 'answered', answer = $5, note = $6, answered_by = $7, \
               answered = {now} where run = $1 and node = $2 and epoch = $3 and seq = $4",
        ))
        .bind(run)
        .bind(&answer.node)
        .bind(stored(answer.epoch))
        .bind(stored(answer.seq))
        .bind(&answer.answer)
        .bind(answer.note.as_deref())
        .bind(by)
        .execute(&mut *tx)
        .await?;
        let detail = format!(
            "{}:{}:{} {}",
            answer.node, answer.epoch, answer.seq, answer.answer
        );
        self.note(&mut tx, run, by, "answer", &detail).await?;
        tx.commit().await?;
        Ok(Won::This)
    }

    /// The runner that currently has a part.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn runner_of(&self, run: &str, node: &str) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("select runner from part where run = $1 and node = $2")
            .bind(run)
            .bind(node)
            .fetch_optional(self.pool())
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.flatten())
    }

    /// Answers for the parts of a runner. They are repeated until the journal shows them.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn answers(&self, runner: &str) -> Result<Vec<AnswerOut>, StoreError> {
        let rows = sqlx::query(
            "select q.run, q.node, q.epoch, q.seq, q.answer, q.note, q.answered_by \
             from question q join part p on p.run = q.run and p.node = q.node and p.epoch = q.epoch \
             where p.runner = $1 and p.state in ('leased', 'unseen') and q.state = 'answered'",
        )
        .bind(runner)
        .fetch_all(self.pool())
        .await?;
        let mut answers = Vec::new();
        for row in &rows {
            answers.push(AnswerOut {
                run: row.try_get("run")?,
                node: row.try_get("node")?,
                epoch: counted(row.try_get("epoch")?),
                seq: counted(row.try_get("seq")?),
                answer: row.try_get("answer")?,
                note: row.try_get("note")?,
                by: row.try_get("answered_by")?,
            });
        }
        Ok(answers)
    }

    pub(super) async fn open_questions(&self, run: &str) -> Result<Vec<QuestionView>, StoreError> {
        let rows = sqlx::query(
            "select node, epoch, seq, step, text, told, choices, asked from question \
             where run = $1 and state = 'open' order by node, epoch, seq",
        )
        .bind(run)
        .fetch_all(self.pool())
        .await?;
        let mut questions = Vec::new();
        for row in &rows {
            questions.push(QuestionView {
                node: row.try_get("node")?,
                epoch: counted(row.try_get("epoch")?),
                seq: counted(row.try_get("seq")?),
                step: row.try_get::<Option<i64>, _>("step")?.map(counted),
                text: row.try_get("text")?,
                told: row.try_get("told")?,
                choices: choices(row.try_get("choices")?),
                at: row.try_get("asked")?,
            });
        }
        Ok(questions)
    }

    pub(super) async fn ask(&self, tx: &mut Tx, new: NewQuestion<'_>) -> Result<(), StoreError> {
        sqlx::query(
            "insert into question (run, node, epoch, seq, step, text, told, choices, asked, state) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open')",
        )
        .bind(new.run)
        .bind(new.node)
        .bind(stored(new.epoch))
        .bind(stored(new.seq))
        .bind(new.step.map(stored))
        .bind(bounded(new.text))
        .bind(new.told.map(bounded))
        .bind(serde_json::to_string(new.choices).unwrap_or_default())
        .bind(bounded(new.asked))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// The journal shows an answer: to the named question, or to all earlier ones.
    pub(super) async fn answered(
        &self,
        tx: &mut Tx,
        key: &PartKey,
        seq: u64,
        question: Option<u64>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update question set state = 'closed' where run = $1 and node = $2 and epoch = $3 \
               and ($4 = seq or ($4 = 0 and seq < $5))",
        )
        .bind(&key.run)
        .bind(&key.node)
        .bind(stored(key.epoch))
        .bind(question.map_or(0, stored))
        .bind(stored(seq))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

fn choices(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_default()
}
