//! Validates repository addresses, and names of tags and branches, before they reach `git`. Pure.

use crate::tree::shown;

/// Checks that a repository may be fetched from this address.
///
/// # Errors
/// Why it may not.
pub fn check_url(url: &str) -> Result<(), String> {
    let shown = shown(url);
    if url.starts_with('-') || url.is_empty() || url.chars().any(char::is_control) {
        return Err(format!("`{shown}` is not the address of a repository"));
    }
    let known = ["https://", "ssh://", "file://"];
    let scp_like = || {
        let (host, _) = url.split_once(':')?;
        (!host.contains('/') && !url.contains("://") && !url.contains("::")).then_some(())
    };
    if known.iter().any(|known| url.starts_with(known)) {
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        if rest.starts_with('-') {
            return Err(format!("`{shown}` is not the address of a repository"));
        }
        let host = rest.split('/').next().unwrap_or_default();
        if let Some((user, _)) = host.rsplit_once('@')
            && user.contains(':')
        {
            return Err("the address contains a password: use git's credentials instead".into());
        }
        return Ok(());
    }
    match scp_like() {
        Some(()) => Ok(()),
        None => Err(format!(
            "`{shown}`: only `https:`, `ssh:` and `file:` are supported"
        )),
    }
}

/// Checks that this can be the name of a tag or a branch.
///
/// # Errors
/// Why it cannot.
pub fn check_ref(name: &str) -> Result<(), String> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let wrong = name.is_empty()
        || name.len() > 200
        || name.starts_with(['-', '/', '.'])
        || name.ends_with(['/', '.'])
        || name.contains("..")
        || name.contains("@{")
        || name.chars().any(odd);
    if wrong {
        return Err(format!(
            "`{}` is not a valid name of a tag or branch",
            shown(name)
        ));
    }
    Ok(())
}
