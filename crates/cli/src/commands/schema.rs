use crate::failure::Failure;
use crate::{files, render};
use std::path::Path;

/// Writes the JSON Schema of the cluster file.
pub fn run(to: &Path) -> Result<u8, Failure> {
    let text = serde_json::to_string_pretty(&spec::json_schema())
        .map_err(|error| Failure::new("BQ0602", format!("JSON: {error}")))?;
    let text = text + "\n";
    if to == Path::new("-") {
        render::out(&text)?;
    } else {
        files::write(to, text.as_bytes(), 0o644)?;
    }
    Ok(0)
}
