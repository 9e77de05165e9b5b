//! Merges the configuration file and the files of the folder next to it.

use std::path::{Path, PathBuf};

use super::{Config, ConfigError};

/// The files of the folder next to it.
pub(super) fn beside(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let folder = path.with_extension("d");
    let unreadable = |why| ConfigError::Unreadable {
        path: folder.clone(),
        why,
    };
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(unreadable(why)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Skip editors' backup files.
        if name.ends_with(".toml") && !name.starts_with('.') {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Merges them into one table.
pub(super) fn merged(
    path: &Path,
    text: &str,
    more: &[PathBuf],
) -> Result<Result<Config, String>, ConfigError> {
    let table = |path: &Path, text: &str| {
        let read: Result<toml::Table, _> = toml::from_str(text);
        read.map_err(|error| ConfigError::Wrong {
            path: path.to_owned(),
            why: error.to_string(),
        })
    };
    let mut all = table(path, text)?;
    for file in more {
        let text = std::fs::read_to_string(file).map_err(|why| ConfigError::Unreadable {
            path: file.clone(),
            why,
        })?;
        add(&mut all, table(file, &text)?);
    }
    let config: Result<Config, _> = all.try_into();
    let names: Vec<String> = { more.iter() }
        .map(|file| file.display().to_string())
        .collect();
    Ok(config.map_err(|error| format!("together with `{}`: {error}", names.join("`, `"))))
}

fn add(to: &mut toml::Table, more: toml::Table) {
    for (name, value) in more {
        match (to.get_mut(&name), value) {
            (Some(toml::Value::Table(have)), toml::Value::Table(more)) => add(have, more),
            (_, value) => {
                to.insert(name, value);
            }
        }
    }
}
