//! A shell as another user. Starts `sudo` and sends nothing until it either asks for a password or
//! has opened the shell. Its messages are only for people: decisions depend on its prompt, which
//! opsbook sets, and on a line that only the new shell can print.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use zeroize::Zeroizing;

use super::channel::{Reader, Writer, nonce};
use super::connection::{Connection, End};
use super::error::SudoError;
use super::fair;
use super::outside::Outside;
use super::secret::Password;
use super::values::quote;

/// PAM delays a refusal by seconds, and a directory server may add to that.
const PATIENCE: Duration = Duration::from_mins(1);

/// After a question that is not ours: nobody is there to answer it.
const QUESTION: Duration = Duration::from_secs(10);

/// The most bytes before the shell opens: a lecture, or output of a login file.
const MOST: u64 = 8 << 20;

/// The longest name of a user, in bytes.
const LONGEST_NAME: usize = 64;

/// A rule for single commands is not enough: blocks run in a shell.
pub(super) const FEW: &str = "its rule allows only some commands, and `sh` is not one of them";

/// Turns the shell at the other end of the connection into one of `user`.
pub(super) async fn become_user(
    connection: Connection,
    user: &str,
    password: Option<&Password>,
) -> Result<Connection, SudoError> {
    let Connection {
        reader,
        mut writer,
        end,
    } = connection;
    let (prompt, ready) = (Prompt::new(), nonce());
    let line = command(user, &prompt, &ready, password.is_none());
    let mut reader = BufReader::new(reader);
    let exchange = async {
        // If the shell is gone, its end explains more than our broken pipe.
        let _ = writer.write_all(&line).await;
        let _ = writer.flush().await;
        exchange(&end, &mut reader, &mut writer, &prompt, &ready, password).await
    };
    match fair::within(PATIENCE, exchange).await {
        Some(Ok(())) => {
            // The prompt is not a message about the shell.
            end.forget();
            let rest = std::io::Cursor::new(reader.buffer().to_vec());
            Ok(Connection {
                reader: Box::pin(rest.chain(reader.into_inner())),
                writer,
                end,
            })
        }
        Some(Err(error)) => {
            end.kill();
            Err(error)
        }
        None => {
            end.kill();
            let said = words(&prompt.without(&end.said()));
            Err(SudoError::Other(
                format!("no answer in 60 s ({said})").into(),
            ))
        }
    }
}

/// Our prompt: `opsbook-NONCE`, a blank, whose password is asked for, and a colon.
struct Prompt(String);

impl Prompt {
    fn new() -> Prompt {
        Prompt(format!("opsbook-{} ", nonce()))
    }

    /// The prompts that have arrived: the text before each, and whose password it asks for.
    fn split<'a>(&'a self, said: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = said;
        std::iter::from_fn(move || {
            let (before, after) = rest.split_once(&self.0)?;
            let (whose, after) = after.split_once(':')?;
            rest = after;
            Some((before, whose))
        })
    }

    fn count(&self, said: &str) -> usize {
        self.split(said).count()
    }

    /// Whose password is asked for; empty if this `sudo` does not say. The node chooses this text,
    /// and a person reads it before they type a password: only the name of a user is believed.
    fn whose(&self, said: &str) -> Outside {
        let last = self.split(said).last().map(|(_, whose)| whose);
        let is_name = |whose: &&str| {
            let mut letters = whose.chars();
            whose.len() <= LONGEST_NAME
                && letters
                    .all(|letter| letter.is_ascii_alphanumeric() || "._@\\-$".contains(letter))
        };
        last.filter(is_name).unwrap_or_default().into()
    }

    /// The text without them, and what stands behind the last one.
    fn cut<'a>(&self, said: &'a str) -> (String, &'a str) {
        let before: String = self.split(said).map(|(before, _)| before).collect();
        let prompts = self.split(said);
        let lengths = prompts.map(|(before, whose)| before.len() + self.0.len() + whose.len() + 1);
        (before, &said[lengths.sum()..])
    }

    fn without(&self, said: &str) -> String {
        let (before, after) = self.cut(said);
        before + after
    }
}

/// Argument lists contain only random words and the user's name. Before a person is asked for a
/// password, `sudo` is asked whether one would help.
fn command(user: &str, prompt: &Prompt, ready: &str, first: bool) -> Vec<u8> {
    let mut line = b"LC_ALL=C; export LC_ALL; command -v sudo >/dev/null || { echo ".to_vec();
    line.extend_from_slice(ready.as_bytes());
    line.extend_from_slice(b"-none; exit 127; }; ");
    if first {
        line.extend_from_slice(b"ob_s=$(sudo -n -l -u ");
        quote(user.as_bytes(), &mut line);
        // `sudo` refuses without a message.
        line.extend_from_slice(
            b" sh </dev/null 2>&1) || [ $? != 1 ] || [ -n \"$ob_s\" ] || { echo ",
        );
        line.extend_from_slice(ready.as_bytes());
        line.extend_from_slice(b"-few; exit 126; }; ");
    }
    line.extend_from_slice(b"exec sudo -S -p ");
    quote(format!("{}%p:", prompt.0).as_bytes(), &mut line);
    line.extend_from_slice(b" -u ");
    quote(user.as_bytes(), &mut line);
    line.extend_from_slice(b" -H -- sh -c 'unset LC_ALL; echo ");
    line.extend_from_slice(ready.as_bytes());
    line.extend_from_slice(b"; exec sh'\n");
    line
}

async fn exchange(
    end: &End,
    reader: &mut BufReader<Reader>,
    writer: &mut Writer,
    prompt: &Prompt,
    ready: &str,
    password: Option<&Password>,
) -> Result<(), SudoError> {
    let mut news = end.news();
    let mut line = Vec::new();
    let mut bounded = reader.take(MOST);
    let mut asked = 0;
    loop {
        let question = question(&end.said(), prompt);
        tokio::select! {
            got = bounded.read_until(b'\n', &mut line) => {
                if got.unwrap_or(0) == 0 {
                    return Err(if bounded.limit() == 0 {
                        end.kill();
                        SudoError::Other("its output does not end".into())
                    } else {
                        refusal(end, prompt, asked).await
                    });
                }
                match line.trim_ascii().strip_prefix(ready.as_bytes()) {
                    Some(b"") => return Ok(()),
                    Some(b"-few") => return Err(SudoError::NotAllowed(FEW.into())),
                    Some(_) => return Err(SudoError::Missing),
                    None => line.clear(),
                }
            }
            Ok(()) = news.changed() => {
                let said = end.said();
                while asked < prompt.count(&said) {
                    asked += 1;
                    answer(writer, password, asked, prompt.whose(&said)).await?;
                }
            }
            () = fair::pass(QUESTION), if question.is_some() => {
                let asks = question.unwrap_or_default();
                let why = format!("it asks for something other than the password: {asks}");
                return Err(SudoError::Other(why.into()));
            }
        }
    }
}

/// A question that is not ours, behind our own prompt where that has come: for a second factor,
/// or for a new password in place of an expired one.
fn question(said: &str, prompt: &Prompt) -> Option<String> {
    let (before, after) = prompt.cut(said);
    let last = after.lines().next_back()?.trim();
    let told = words(&before);
    let asks = last.ends_with([':', '?']) && !after.ends_with('\n');
    asks.then(|| words(&format!("{told}\n{after}")))
}

/// Answers prompts: the first with the password, all others with nothing.
async fn answer(
    writer: &mut Writer,
    password: Option<&Password>,
    asked: usize,
    of: Outside,
) -> Result<(), SudoError> {
    let Some(password) = password else {
        return Err(SudoError::PasswordNeeded { of });
    };
    if asked > 1 {
        return Err(SudoError::WrongPassword { of });
    }
    let mut line = Zeroizing::new(Vec::with_capacity(password.expose().len() + 1));
    line.extend_from_slice(password.expose());
    line.push(b'\n');
    let _ = writer.write_all(&line).await;
    let _ = writer.flush().await;
    Ok(())
}

/// Why it ended without opening a shell.
async fn refusal(end: &End, prompt: &Prompt, asked: usize) -> SudoError {
    let said = end.ended().await.said;
    classify(prompt.without(&said).trim(), asked, prompt.whose(&said))
}

fn classify(said: &str, asked: usize, of: Outside) -> SudoError {
    let has = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    let text = words(said);
    if has(&[
        "not in the sudoers",
        "not allowed",
        "may not run",
        "I'm sorry",
    ]) {
        SudoError::NotAllowed(text.into())
    } else if has(&["must have a tty", "terminal is required"]) {
        SudoError::NeedsTty(text.into())
    } else if has(&[
        "incorrect password",
        "Sorry, try again",
        "uthentication failed",
        "incorrect authentication",
    ]) {
        SudoError::WrongPassword { of }
    } else if said.contains("sh: command not found") {
        SudoError::Other(
            format!("{text}; it finds no `sh` in its `secure_path` or `runchroot`").into(),
        )
    } else if text.is_empty() && asked > 0 {
        SudoError::Other("it ended after the password without a message".into())
    } else {
        SudoError::Other(text.into())
    }
}

fn words(said: &str) -> String {
    let lines = said.lines().map(str::trim);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        for (said, expected) in [
            (
                "ops is not in the sudoers file.",
                SudoError::NotAllowed("ops is not in the sudoers file.".into()),
            ),
            (
                "Sorry, user ops is not allowed to execute '/bin/sh' as root on n.",
                SudoError::NotAllowed(
                    "Sorry, user ops is not allowed to execute '/bin/sh' as root on n.".into(),
                ),
            ),
            (
                "sudo: sorry, you must have a tty to run sudo",
                SudoError::NeedsTty("sudo: sorry, you must have a tty to run sudo".into()),
            ),
            (
                "sudo: 1 incorrect password attempt",
                SudoError::WrongPassword { of: "root".into() },
            ),
            (
                "sudo-rs: Authentication failed, try again.",
                SudoError::WrongPassword { of: "root".into() },
            ),
            (
                "sudo: sh: command not found",
                SudoError::Other(
                    "sudo: sh: command not found; it finds no `sh` in its `secure_path` or `runchroot`".into(),
                ),
            ),
            (
                "sudo: unknown user x",
                SudoError::Other("sudo: unknown user x".into()),
            ),
        ] {
            assert_eq!(classify(said, 0, "root".into()), expected, "{said}");
        }
    }

    #[test]
    fn a_question_that_is_not_ours_is_known() {
        let prompt = Prompt("P ".to_owned());
        for (said, expected) in [
            ("", None),
            ("P ops:", None),
            ("P ops", None),
            ("Sorry, try again.\nP ops:", None),
            ("P ops:\n", None),
            ("noise", None),
            ("noiseP ops:", None),
            ("Warning: a key:\n", None),
            ("Please touch the device.\n", None),
            ("Verification code: ", Some("Verification code:")),
            ("P ops:\nVerification code: ", Some("Verification code:")),
            (
                "P ops:sudo: password expired\nCurrent password: ",
                Some("sudo: password expired; Current password:"),
            ),
        ] {
            assert_eq!(question(said, &prompt).as_deref(), expected, "{said:?}");
        }
    }

    #[test]
    fn whose_password_is_asked_for_stands_in_the_prompt() {
        let prompt = Prompt("P ".to_owned());
        for (said, count, whose, without) in [
            ("", 0, "", ""),
            ("a\nP ro", 0, "", "a\nP ro"),
            ("a\nP root:", 1, "root", "a\n"),
            (
                "[sudo: P root:] Password: ",
                1,
                "root",
                "[sudo: ] Password: ",
            ),
            ("P ops:Sorry.\nP root:b", 2, "root", "Sorry.\nb"),
            ("P %p:", 1, "", ""),
            ("P root on bank:", 1, "", ""),
            ("P EXAMPLE\\ana-1:", 1, "EXAMPLE\\ana-1", ""),
        ] {
            assert_eq!(prompt.count(said), count, "{said}");
            assert_eq!(prompt.whose(said).exact(), whose, "{said}");
            assert_eq!(prompt.without(said), without, "{said}");
        }
    }

    #[test]
    fn a_user_name_cannot_break_out() {
        let line = command("x'; id #", &Prompt::new(), "R", false);
        let line = String::from_utf8(line).unwrap();
        assert!(line.contains("-u 'x'\\''; id #' -H --"), "{line}");
    }
}
