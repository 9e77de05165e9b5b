//! Logins, and one-time tickets: for enrollments, browser links, nonces. The store contains only
//! their hashes.

use sqlx::Row as _;

use super::{Store, StoreError, Tx};
use crate::token::{new_token, sha256};

/// A logged-in person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub person: String,
    /// The way of the login, as written by [`opsbook_wire::LoginWay`].
    pub way: String,
    /// Their groups from an identity provider.
    pub groups: Vec<String>,
}

/// A known runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// Its id.
    pub id: String,
    /// Its segment.
    pub segment: String,
}

/// A runner, for administrators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRunner {
    /// The runner.
    pub runner: Runner,
    /// Its version, as it has said; empty before its first message.
    pub version: String,
    /// When it last sent a message.
    pub seen: i64,
    /// Whether it has a secret.
    pub secret: bool,
    /// When its certificate expires, if it has one.
    pub until: Option<i64>,
}

fn runner_of(row: &sqlx::any::AnyRow) -> Result<Runner, StoreError> {
    Ok(Runner {
        id: row.try_get(0)?,
        segment: row.try_get(1)?,
    })
}

/// `a.b` and `c` make the same id as `a` and `b.c`: a token of one segment must not give a runner
/// of another.
fn of_segment(rows: u64, id: &str) -> Result<(), StoreError> {
    if rows > 0 {
        return Ok(());
    }
    let why = format!("`{id}` is a runner of another segment: choose another name");
    Err(StoreError::Unreadable(why))
}

impl Store {
    /// Creates a one-time ticket with this lifetime.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn new_ticket(
        &self,
        kind: &str,
        subject: &str,
        seconds: i64,
    ) -> Result<(String, i64), StoreError> {
        let token = new_token();
        sqlx::query(self.sql("delete from ticket where until < {now}"))
            .execute(self.pool())
            .await?;
        let text = "insert into ticket (token_sha256, kind, subject, until) \
                    values ($1, $2, $3, {now} + $4) returning until";
        let row = sqlx::query(self.sql(text))
            .bind(sha256(&token))
            .bind(kind)
            .bind(subject)
            .bind(seconds * 1000)
            .fetch_one(self.pool())
            .await?;
        Ok((token, row.try_get(0)?))
    }

    /// The number of valid tickets of a kind.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn tickets(&self, kind: &str) -> Result<i64, StoreError> {
        let text = "select count(*) from ticket where kind = $1 and until > {now}";
        let row = sqlx::query(self.sql(text))
            .bind(kind)
            .fetch_one(self.pool())
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Uses up a ticket; returns its subject if it was valid.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn take_ticket(&self, kind: &str, token: &str) -> Result<Option<String>, StoreError> {
        let text = "delete from ticket where token_sha256 = $1 and kind = $2 and until > {now} \
                    returning subject";
        let row = sqlx::query(self.sql(text))
            .bind(sha256(token))
            .bind(kind)
            .fetch_optional(self.pool())
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Logs a person in for this time.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn new_login(
        &self,
        person: &str,
        way: &str,
        seconds: i64,
    ) -> Result<(String, i64), StoreError> {
        self.new_login_in((person, way), &[], seconds).await
    }

    /// The same, with groups.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn new_login_in(
        &self,
        (person, way): (&str, &str),
        groups: &[String],
        seconds: i64,
    ) -> Result<(String, i64), StoreError> {
        let token = new_token();
        let mut tx = self.begin().await?;
        for text in [
            "delete from login where until < {now}",
            "delete from login_group where token_sha256 not in (select token_sha256 from login)",
        ] {
            sqlx::query(self.sql(text)).execute(&mut *tx).await?;
        }
        let text = "insert into login (token_sha256, person, way, until) \
                    values ($1, $2, $3, {now} + $4) returning until";
        let row = sqlx::query(self.sql(text))
            .bind(sha256(&token))
            .bind(person)
            .bind(way)
            .bind(seconds * 1000)
            .fetch_one(&mut *tx)
            .await?;
        for group in groups {
            let text = "insert into login_group (token_sha256, name) values ($1, $2) \
                        on conflict (token_sha256, name) do nothing";
            sqlx::query(text)
                .bind(sha256(&token))
                .bind(group)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok((token, row.try_get(0)?))
    }

    /// The person with this token.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn login(&self, token: &str) -> Result<Option<Login>, StoreError> {
        // One row for each group, or one without.
        let text = "select l.person, l.way, g.name from login l \
                    left join login_group g on g.token_sha256 = l.token_sha256 \
                    where l.token_sha256 = $1 and l.until > {now} order by g.name";
        let rows = sqlx::query(self.sql(text))
            .bind(sha256(token))
            .fetch_all(self.pool())
            .await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let groups: Result<Vec<Option<String>>, _> =
            rows.iter().map(|row| row.try_get(2)).collect();
        Ok(Some(Login {
            person: first.try_get(0)?,
            way: first.try_get(1)?,
            groups: groups?.into_iter().flatten().collect(),
        }))
    }

    /// Ends a login.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn log_out(&self, token: &str) -> Result<(), StoreError> {
        sqlx::query("delete from login where token_sha256 = $1")
            .bind(sha256(token))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Ends all logins of a person, and the links that were not used; returns how many.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn log_out_person(&self, person: &str) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let mut ended = 0;
        for text in [
            "delete from login where person = $1",
            "delete from ticket where kind = 'link' and subject = $1",
        ] {
            let of = sqlx::query(text).bind(person).execute(&mut *tx).await?;
            ended += of.rows_affected();
        }
        tx.commit().await?;
        Ok(ended)
    }

    /// Registers a runner; one with the same name gets a new secret.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn enroll(&self, segment: &str, name: &str) -> Result<(Runner, String), StoreError> {
        let secret = new_token();
        let id = format!("{segment}.{name}");
        let text = "insert into runner (id, segment, name, secret_sha256, version, boot, seen, room) \
                    values ($1, $2, $3, $4, '', '', 0, 0) \
                    on conflict (id) do update set secret_sha256 = excluded.secret_sha256 \
                    where runner.segment = excluded.segment";
        let mut tx = self.begin().await?;
        let known = sqlx::query(text)
            .bind(&id)
            .bind(segment)
            .bind(name)
            .bind(sha256(&secret))
            .execute(&mut *tx)
            .await?;
        of_segment(known.rows_affected(), &id)?;
        sqlx::query("delete from runner_certificate where runner = $1")
            .bind(&id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        let segment = segment.to_owned();
        Ok((Runner { id, segment }, secret))
    }

    /// Registers a runner with this certificate and lifetime. All earlier credentials of a runner
    /// with the same name become invalid.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn enroll_with(
        &self,
        (segment, name): (&str, &str),
        certificate: &str,
        seconds: i64,
    ) -> Result<Runner, StoreError> {
        let id = format!("{segment}.{name}");
        let mut tx = self.begin().await?;
        let text = "insert into runner (id, segment, name, version, boot, seen, room) \
                    values ($1, $2, $3, '', '', 0, 0) \
                    on conflict (id) do update set secret_sha256 = null \
                    where runner.segment = excluded.segment";
        let runner = sqlx::query(text).bind(&id).bind(segment).bind(name);
        of_segment(runner.execute(&mut *tx).await?.rows_affected(), &id)?;
        sqlx::query("delete from runner_certificate where runner = $1")
            .bind(&id)
            .execute(&mut *tx)
            .await?;
        self.certified(&mut tx, &id, certificate, seconds).await?;
        tx.commit().await?;
        let segment = segment.to_owned();
        Ok(Runner { id, segment })
    }

    /// Adds a certificate to a runner; of the earlier ones, only the one in use stays valid.
    ///
    /// # Errors
    /// If the store cannot be written, or the certificate in use was revoked meanwhile.
    pub async fn renew(
        &self,
        runner: &Runner,
        (present, new): (&str, &str),
        seconds: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("delete from runner_certificate where runner = $1 and sha256 <> $2")
            .bind(&runner.id)
            .bind(present)
            .execute(&mut *tx)
            .await?;
        // This locks the row: a revocation happens before or after.
        let text = "update runner_certificate set until = until where sha256 = $1";
        let held = sqlx::query(text).bind(present).execute(&mut *tx).await?;
        if held.rows_affected() == 0 {
            let why = "the runner's certificate was revoked meanwhile";
            return Err(StoreError::Unreadable(why.to_owned()));
        }
        self.certified(&mut tx, &runner.id, new, seconds).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn certified(
        &self,
        tx: &mut Tx,
        runner: &str,
        certificate: &str,
        seconds: i64,
    ) -> Result<(), StoreError> {
        let text = "insert into runner_certificate (sha256, runner, until) \
                    values ($1, $2, {now} + $3)";
        sqlx::query(self.sql(text))
            .bind(certificate)
            .bind(runner)
            .bind(seconds.saturating_mul(1000))
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The runner with this certificate.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn runner_of_certificate(&self, sum: &str) -> Result<Option<Runner>, StoreError> {
        let text = "select r.id, r.segment from runner_certificate c join runner r on r.id = c.runner \
                    where c.sha256 = $1 and c.until > {now}";
        let row = sqlx::query(self.sql(text))
            .bind(sum)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(runner_of).transpose()
    }

    /// Revokes all credentials of a runner; false if it does not exist.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn revoke(&self, id: &str) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("delete from runner_certificate where runner = $1")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        let text = "update runner set secret_sha256 = null where id = $1";
        let known = sqlx::query(text).bind(id).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(known.rows_affected() > 0)
    }

    /// All runners with their credentials.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn runners(&self) -> Result<Vec<KnownRunner>, StoreError> {
        let text = "select r.id, r.segment, r.seen, cast(case when r.secret_sha256 is null then 0 else 1 end as bigint), \
                    (select max(c.until) from runner_certificate c where c.runner = r.id and c.until > {now}), \
                    r.version \
                    from runner r order by r.id";
        let rows = sqlx::query(self.sql(text)).fetch_all(self.pool()).await?;
        rows.iter()
            .map(|row| {
                Ok(KnownRunner {
                    runner: runner_of(row)?,
                    seen: row.try_get(2)?,
                    secret: row.try_get::<i64, _>(3)? != 0,
                    until: row.try_get(4)?,
                    version: row.try_get(5)?,
                })
            })
            .collect()
    }

    /// The runner of this machine, identified by the socket.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn runner_here(&self, segment: &str, name: &str) -> Result<Runner, StoreError> {
        let id = format!("{segment}.{name}");
        let text = "insert into runner (id, segment, name, version, boot, seen, room) \
                    values ($1, $2, $3, '', '', 0, 0) on conflict (id) do nothing";
        sqlx::query(text)
            .bind(&id)
            .bind(segment)
            .bind(name)
            .execute(self.pool())
            .await?;
        let segment = segment.to_owned();
        Ok(Runner { id, segment })
    }

    /// The runner with this secret.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn runner(&self, secret: &str) -> Result<Option<Runner>, StoreError> {
        let row = sqlx::query("select id, segment from runner where secret_sha256 = $1")
            .bind(sha256(secret))
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(runner_of).transpose()
    }

    /// The segments with a runner.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn segments(&self) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("select distinct segment from runner order by segment")
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}
