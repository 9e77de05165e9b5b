//! Logins, and tickets that are good once: of enrolment, of a browser's link, of a nonce. The
//! store has hashes of them alone.

use sqlx::Row as _;

use super::{Store, StoreError};
use crate::token::{new_token, sha256};

/// Somebody who is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Who.
    pub person: String,
    /// How, as [`opsbook_wire::LoginWay`] writes it.
    pub way: String,
}

/// A runner that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// Its id.
    pub id: String,
    /// Its segment.
    pub segment: String,
}

impl Store {
    /// A ticket that is good once, for so long.
    ///
    /// # Errors
    /// Where the store cannot be written.
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

    /// How many tickets of a kind are good.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn tickets(&self, kind: &str) -> Result<i64, StoreError> {
        let text = "select count(*) from ticket where kind = $1 and until > {now}";
        let row = sqlx::query(self.sql(text))
            .bind(kind)
            .fetch_one(self.pool())
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Takes a ticket: its subject, where it is still good.
    ///
    /// # Errors
    /// Where the store cannot be written.
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

    /// Somebody is logged in from now on, for so long.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn new_login(
        &self,
        person: &str,
        way: &str,
        seconds: i64,
    ) -> Result<(String, i64), StoreError> {
        let token = new_token();
        sqlx::query(self.sql("delete from login where until < {now}"))
            .execute(self.pool())
            .await?;
        let text = "insert into login (token_sha256, person, way, until) \
                    values ($1, $2, $3, {now} + $4) returning until";
        let row = sqlx::query(self.sql(text))
            .bind(sha256(&token))
            .bind(person)
            .bind(way)
            .bind(seconds * 1000)
            .fetch_one(self.pool())
            .await?;
        Ok((token, row.try_get(0)?))
    }

    /// Who has this token.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn login(&self, token: &str) -> Result<Option<Login>, StoreError> {
        let text = "select person, way from login where token_sha256 = $1 and until > {now}";
        let row = sqlx::query(self.sql(text))
            .bind(sha256(token))
            .fetch_optional(self.pool())
            .await?;
        Ok(match row {
            Some(row) => Some(Login {
                person: row.try_get(0)?,
                way: row.try_get(1)?,
            }),
            None => None,
        })
    }

    /// A login ends.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn log_out(&self, token: &str) -> Result<(), StoreError> {
        sqlx::query("delete from login where token_sha256 = $1")
            .bind(sha256(token))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// A runner is known from now on; one of the same name has another secret from now on.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn enroll(&self, segment: &str, name: &str) -> Result<(Runner, String), StoreError> {
        let secret = new_token();
        let id = format!("{segment}.{name}");
        let text = "insert into runner (id, segment, name, secret_sha256, version, boot, seen, room) \
                    values ($1, $2, $3, $4, '', '', 0, 0) \
                    on conflict (id) do update set secret_sha256 = excluded.secret_sha256";
        sqlx::query(text)
            .bind(&id)
            .bind(segment)
            .bind(name)
            .bind(sha256(&secret))
            .execute(self.pool())
            .await?;
        let segment = segment.to_owned();
        Ok((Runner { id, segment }, secret))
    }

    /// The runner of this machine, which the socket names.
    ///
    /// # Errors
    /// Where the store cannot be written.
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

    /// Whose secret this is.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn runner(&self, secret: &str) -> Result<Option<Runner>, StoreError> {
        let row = sqlx::query("select id, segment from runner where secret_sha256 = $1")
            .bind(sha256(secret))
            .fetch_optional(self.pool())
            .await?;
        Ok(match row {
            Some(row) => Some(Runner {
                id: row.try_get(0)?,
                segment: row.try_get(1)?,
            }),
            None => None,
        })
    }

    /// The segments that have a runner.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn segments(&self) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("select distinct segment from runner order by segment")
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}
